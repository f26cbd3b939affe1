"""The embedded engine's threads."""

import threading

from starwire.engines.threads import WriterThread


def test_a_handler_that_hangs_does_not_hold_up_the_stop() -> None:
    hangs, ends = threading.Event(), threading.Event()

    def work() -> bool:
        hangs.set()
        ends.wait()
        return False

    threads = WriterThread(1, patience=0.01)
    threads.start(work)
    threads.wake()
    assert hangs.wait(10)
    threads.stop()
    ends.set()


def test_the_stop_waits_for_what_is_left_to_do() -> None:
    left = 3
    threads = WriterThread(1, patience=10)

    def work() -> bool:
        nonlocal left
        left -= 1
        return left > 0

    threads.start(work)
    threads.wake()
    threads.stop()
    assert left == 0
