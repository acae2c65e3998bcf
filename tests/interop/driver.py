"""Playwright's driver, one for all tests of a process: to start it takes most of a second. Browsers are the tests' own."""

from __future__ import annotations

import atexit
import functools

from playwright.sync_api import Playwright, sync_playwright

WITHOUT = "--disable-features=" + ",".join((
    "AimEnabled", "AiModeOmniboxEntryPoint", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OmniboxWebUIPopup", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxPopup",
    "WebUIOmniboxSimplification"))
"""What Playwright itself turns off, which this replaces, and the pages behind the address field: to draw those, which nobody
sees here, takes the whole Chromium a second at each start."""


@functools.cache
def playwright() -> Playwright:
    """It ends with the process. While it runs, this thread can run no event loop of asyncio."""
    found = sync_playwright().start()
    atexit.register(found.stop)
    return found
