"""The browser the other tests rely on starts and runs scripts."""

from playwright.sync_api import BrowserContext


def test_a_page_runs_its_scripts(context: BrowserContext) -> None:
    page = context.new_page()
    page.set_content("<p id=here></p><script>here.textContent = 'dragons'</script>")
    assert page.locator("#here").inner_text() == "dragons"
