"""What mkdocs does not do by itself: the navigation, the page of options, the drawings, and Chinese beside English.

The two languages are two builds, each with a search of its own. In the Chinese one a page that is not translated yet is the
English one, with a line that says so, and files that are no pages are those of the English one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from navigation import navigation

from rtcd.reference import reference
from rtcd.sample import shipped_schemas

DOCS = Path(__file__).resolve().parents[1]
STATIC = DOCS.parent / "rtcd" / "web" / "static"
SHARED = ("assets", "images", "examples")
"""Folders that both languages have."""
LANGUAGES = {"en": "English", "zh": "中文"}
GENERATED = "options"
NOT_TRANSLATED = "!!! note \"本页尚无中文\"\n\n    以下是英文原文。\n\n"

_DRAWING = re.compile(r'<img alt="([^"]*)" src="images/([a-z-]+\.svg)" ?/?>')
_STYLE = re.compile(r"<style>.*?</style>\n", re.DOTALL)
_HAN = re.compile("[\u3400-\u9fff](?=[\u3400-\u9fff])")
_UP = re.compile(r"(\]\(|src=\")\.\./")


def on_files(files: Files, config: Any) -> Files:
    """Add what is made or shared, and say where each page stands."""
    language, catalogue = config.extra["language"], {}
    if language != "en":
        catalogue = json.loads((DOCS / language / "options.json").read_text())
        files.remove(files.src_uris["options.json"])
        for folder in SHARED:
            for path in sorted((DOCS / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    files.append(File.generated(config, path.relative_to(DOCS).as_posix(), abs_src_path=str(path)))
        for path in sorted(DOCS.glob("*.md")):
            if path.name not in files.src_uris:
                files.append(File.generated(config, path.name, content=NOT_TRANSLATED + path.read_text()))
    text = reference(shipped_schemas(), language, catalogue)
    files.append(File.generated(config, f"{GENERATED}.md", content=text))
    files.append(File.generated(config, "assets/favicon.svg", abs_src_path=str(STATIC / "favicon.svg")))
    pages = [Path(one.src_uri).stem for one in files.documentation_pages()]
    config.nav = navigation(config.extra["sections"], config.extra["titles"], pages)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A Chinese page names files of the English half beside it, as they lie; in the site they are below it."""
    return markdown if config.extra["language"] == "en" else _UP.sub(r"\1", markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Drawings stand in the page itself, so that they have its colours."""
    return _DRAWING.sub(_drawing, html)


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> Any:
    """The switch of languages leads to the same page."""
    mine, name = config.extra["language"], page.url or "index.html"
    ways = {("en", "en"): name, ("en", "zh"): f"zh/{name}", ("zh", "en"): f"../{name}", ("zh", "zh"): name}
    config.extra["alternate"] = [
        {"name": title, "link": ways[mine, one], "lang": one} for one, title in LANGUAGES.items()]
    return context


def on_post_build(config: Any) -> None:
    """Chinese has no spaces for a search to find its words by: a mark that nobody sees, at which the search of the theme
    parts words (\\u200b), stands between its characters."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    found = json.loads(index.read_text())
    for one in found["docs"]:
        for part in ("title", "text"):
            one[part] = _HAN.sub("\\g<0>\u200b", one[part])
    index.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")))


def _drawing(found: re.Match[str]) -> str:
    svg = _STYLE.sub("", (DOCS / "images" / found[2]).read_text())  # its own is for those who see the file alone
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{found[1]}" ', 1)
    return f'<span class="drawing-frame" tabindex="0">{named}</span>'
