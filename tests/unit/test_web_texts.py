"""What stands in the page before a script runs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.web.texts import begin, fill, modules

TEXTS = {"a": "Fish & <chips>", "b": 'Say "yes"', "room": "Join {room}"}


class TextsTests(SynchronousTestCase):
    """Filling in."""

    def test_a_text_is_the_content(self) -> None:
        """Whatever stood there; nothing in it becomes markup."""
        self.assertEqual(fill('<p id="x" data-text="a"></p>', TEXTS), '<p id="x" data-text="a">Fish &amp; &lt;chips&gt;</p>')
        self.assertEqual(fill('<b\n  data-text="b">old</b>', TEXTS), '<b\n  data-text="b">Say "yes"</b>')

    def test_a_label_is_the_name_and_the_tooltip_of_what_can_be_pressed(self) -> None:
        """As texts.js does it."""
        self.assertEqual(fill('<i data-label="b"><b></b></i>', TEXTS),
                         '<i data-label="b" aria-label="Say &quot;yes&quot;"><b></b></i>')
        for name in ("a", "button"):
            filled = fill(f'<{name} data-label="b">', TEXTS)
            self.assertIn(' aria-label="Say &quot;yes&quot;" title="Say &quot;yes&quot;">', filled)

    def test_a_placeholder_is_filled_in(self) -> None:
        """Of an empty field."""
        self.assertEqual(fill('<input data-placeholder="b" required>', TEXTS),
                         '<input data-placeholder="b" required placeholder="Say &quot;yes&quot;">')

    def test_a_text_with_a_value_is_left_to_the_script(self) -> None:
        """As is an unknown one, and all else."""
        for html in ('<p data-text="room"></p>', '<p data-text="unknown">old</p>', '<p data-text=""></p>', "<p>{room}</p>",
                     '<path d="m6 6" data-x="1"/>', '<button data-label="room">x</button>'):
            self.assertEqual(fill(html, TEXTS), html)

    def test_the_page_begins_in_its_state(self) -> None:
        """And in its language."""
        self.assertEqual(begin('<html lang="en" data-state="loading" class="x"><p>', "zh-CN", "green"),
                         '<html lang="zh-CN" data-state="green"><p>')

    def test_an_error_is_said_at_once(self) -> None:
        """By the texts of its kind."""
        html = '<html><section data-panel="error" hidden><h1 id="error-title"></h1><p id="error-text"></p></section>'
        page = fill(begin(html, "en", "error", "busy"), {"error.busy.title": "Wait", "error.busy.text": "A while"})
        self.assertIn('data-state="error" data-error="busy">', page)
        self.assertIn('data-text="error.busy.title">Wait</h1>', page)
        self.assertIn('data-text="error.busy.text">A while</p>', page)

    def test_so_is_why_there_is_no_seat(self) -> None:
        """A room with a phone app in it is not just full."""
        html = '<html><section data-panel="refused"><h1 id="refused-title"></h1><p id="refused-text"></p></section>'
        page = fill(begin(html, "en", "refused", "app"), {"refused.app.title": "Two", "refused.app.text": "A phone"})
        self.assertIn('<html lang="en" data-state="refused">', page)
        self.assertIn('data-text="refused.app.title">Two</h1>', page)
        self.assertIn('data-text="refused.app.text">A phone</p>', page)


class ModulesTests(SynchronousTestCase):
    """The graph of imports."""

    def test_what_is_imported_is_found_nearest_first(self) -> None:
        """Once each, through circles, in all ways of writing it; not what is imported late, or in a comment."""
        files = {
            "app.js": 'import { a } from "./a.js";\nimport "./b.js";\nconst late = import("./late.js");\n'
                      '/** @type {import("./typed.js").T} */\n// import "./comment.js"\n'
                      'import {\n  c,\n  d as e,\n} from "./c.js";',
            "a.js": "import * as all from './d.js';\nexport { x } from './e.js';",
            "b.js": 'export * from "./a.js";', "c.js": 'import f, { g } from "./app.js";', "d.js": 'import "./missing.js";',
            "e.js": "", "late.js": "", "typed.js": "", "comment.js": "",
        }
        self.assertEqual(modules(files, "app.js"), ["a.js", "b.js", "c.js", "d.js", "e.js"])

    def test_imports_in_one_line_are_found_too(self) -> None:
        """As the scripts of a wheel have them."""
        files = {
            "app.js": 'import{a}from"./a.js";import"./b.js";export{c}from"./c.js";const d=import("./late.js");',
            "a.js": 'const a=1;export{a}', "b.js": "", "c.js": "", "late.js": "",
        }
        self.assertEqual(modules(files, "app.js"), ["a.js", "b.js", "c.js"])
