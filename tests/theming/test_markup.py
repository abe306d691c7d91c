"""What libxml2 reads otherwise than browsers: mended, or the page passes unthemed."""

from __future__ import annotations

import random
import warnings
from typing import Any

import html5lib
import pytest

from tests.theming.conftest import Application, ask, rules
from wsgiproxy.theming.page import PageError, parse, serialise

ALL = rules('<copy css:theme="body" content="/html/body/node()"/>')
THEME = "<!DOCTYPE html><html><head></head><body class=themed></body></html>"
VOID = (
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source"
    " track wbr"
)
#: A start tag that hides an end tag from whoever reads what is before as raw text.
HIDDEN = '<a id="</%s><img src=x onerror=alert(1)>">'


def themed(application: Application, body: str, **options: Any) -> str | None:
    """What became of the body; ``None`` if the page passed as it was."""
    page = f"<!DOCTYPE html><html><head></head><body>{body}"
    application.body = [page.encode()]
    response = ask(application, rules=ALL, theme=THEME, **options)
    return None if response.text == page else response.text


@pytest.mark.parametrize("spelling", ["<{}>", "<{} />", "<{}/>", "<{} a=b>", '<{} a="b"/>'])
@pytest.mark.parametrize("name", VOID.split())
def test_void_element_has_no_content(name: str, spelling: str, application: Application) -> None:
    table = "<table><colgroup>{}</colgroup><tr><td>x</td></tr></table>"
    markup = (table if name == "col" else "<div>x{}y</div>").format(spelling.format(name))
    found = themed(application, markup)
    assert found is not None
    assert f"</{name}>" not in found
    assert "wsgiproxy" not in found
    tree = parse(found.encode())
    assert tree.xpath("count(//*[name()=$n]/node())", n=name) == 0
    assert len(tree.xpath("//*[name()=$n]", n=name)) == 1


@pytest.mark.parametrize("name", ["embed", "source", "track", "wbr"])
def test_void_element_of_a_theme_has_no_content(name: str, application: Application) -> None:
    theme = f"<html><body class=themed><p>a<{name}>b</p><i @x=y>c<{name} @z>d</i></body></html>"
    found = ask(application, rules=rules(""), theme=theme).text
    assert f"<p>a<{name}>b</p>" in found
    assert f'<i @x="y">c<{name} @z>d</i>' in found or f'<i @x="y">c<{name} @z="">d</i>' in found


def test_void_elements_are_no_deeper_than_they_stand(application: Application) -> None:
    assert themed(application, "<p>" + "a<wbr>" * 1000 + "<p>b") is not None


def test_names_of_void_elements_in_text_stay(application: Application) -> None:
    text = "<script>s = '<wbr><source/>';</script><!-- <wbr> --><p title='<wbr>'>&lt;wbr></p>"
    found = themed(application, text + "<wbr>")
    assert found is not None
    assert "<script>s = '<wbr><source/>';</script><!-- <wbr> -->" in found


@pytest.mark.parametrize(
    "markup",
    [
        "<svg><title>Close</title><path d='M0 0'/></svg>",
        "<svg><style>.a { fill: red }</style><desc>a <b>c</b></desc></svg>",
        "<svg><foreignObject><div>a<br>b</div></foreignObject><g/></svg>",
        "<svg><image href='x'/><svg><g><path></svg></svg>",
        "<math><mi>x</mi><mo>=</mo><annotation-xml><apply><plus/></apply></annotation-xml></math>",
        "<select><option>a<option selected>b</select>",
        "<noscript><p>a<img src=x><style>a > b {}</style></noscript>",
        "<template><p>row<li>a<li>b</template>",
    ],
)
def test_plain_markup_is_themed(markup: str, application: Application) -> None:
    found = themed(application, markup + "<script>if (1 < 2) {}</script><style>a<b</style>")
    assert found is not None
    assert parse(found.encode()).xpath("boolean(//body/script) and boolean(//body/style)")


RAW = ["iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"]
AROUND = {
    "svg": "<svg>%s</svg>",
    "math": "<math>%s</math>",
    "upper case": "<SVG><G>%s</G></SVG>",
    "select": "<select>%s</select>",
    "never closed": "<p><svg>%s",
    "integration point": "<svg><foreignObject>%s</foreignObject></svg>",
    "end tag of a parent": "<div><svg><desc></div></desc>%s</svg></div>",
    "end tag of HTML": "<svg><desc><div></svg></div></desc>%s</svg>",
    "form": "<form><svg></form>%s",
    "body": "<svg></body>%s",
    "table cell": "<svg><td></svg>%s",
    "breakout": "<svg><p></svg><svg></p>%s</svg>",
    "inner svg": "<svg><form><svg><svg></form></svg>%s",
}


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("around", AROUND)
def test_raw_text_that_may_be_tags_passes_unthemed(
    around: str, name: str, application: Application
) -> None:
    markup = AROUND[around] % (f"<{name}>" + HIDDEN % name)
    assert themed(application, markup + "<p>x</p>") is None


@pytest.mark.parametrize(
    "markup",
    [
        "<svg><![CDATA[><script>alert(1)</script>]]></svg>",
        "<svg><desc><![CDATA[><img onerror=alert(1)>]]></desc></svg>",
        "<math><mi><![CDATA[><img onerror=alert(1)>]]></mi></math>",
        "<svg><title/><a id='</title><img onerror=alert(1)>'></svg>",
        "<noscript><p title='</noscript><b title=\"'></noscript><img onerror=alert(1)>\">",
        "<noscript><!-- </noscript> --><img></noscript>",
        "<noscript><style></noscript></style></noscript>",
        "<div><noscript></div><img onerror=alert(1)></noscript>",
        "<noscript><body onload=alert(1)></noscript>",
        "<template><body onload=alert(1)></template>",
        "<div><template></div><img onerror=alert(1)></template>",
        "<select><html onclick=alert(1)></select>",
        "<div><select></div><img onerror=alert(1)></select>",
        "<svg><body onload=alert(1)></svg>",
        "<plaintext><b>",
        "<p>a<script>alert(1)",
        "<p>a<script><!--<script>alert(1)</script>",
        "<textarea>a",
    ],
)
def test_markup_in_doubt_passes_unthemed(markup: str, application: Application) -> None:
    assert themed(application, markup) is None


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("slash", ["/", " /", " a=b /", " a='>'/"])
def test_slash_of_raw_text_is_ignored(name: str, slash: str, application: Application) -> None:
    found = themed(application, f"<{name}{slash}><img onerror=alert(1)></{name}>")
    assert found is not None
    assert parse(found.encode()).xpath("count(//img)") == 0


def test_slash_of_html_is_ignored_and_of_svg_is_not(application: Application) -> None:
    found = themed(application, "<i class=icon /><b>a</b></i><svg><g/><path/></svg><hr/>")
    assert found is not None
    assert '<i class="icon"><b>a</b></i><svg><g></g><path></path></svg><hr>' in found


@pytest.mark.parametrize(
    "body",
    [
        "<p><![CDATA[ <script>alert(1)</script> ]]></p>",
        "<?x ><script>alert(1)</script> ?>",
        "<style>/* &lt;/style> */</style>",
        "<style>/*<!-- </style> -->*/</style>",
        "<title><b>x</b></title>",
    ],
)
def test_xhtml_that_html_reads_otherwise_passes_unthemed(
    body: str, application: Application
) -> None:
    application.headers = [("Content-Type", "application/xhtml+xml")]
    assert themed(application, f"{body}<p>x</p></body></html>") is None


def test_xhtml_ends_elements_with_a_slash(application: Application) -> None:
    application.headers = [("Content-Type", "application/xhtml+xml; charset=utf-8")]
    found = themed(application, '<script src="a.js"/><i/><p>x</p></body></html>')
    assert found is not None
    assert '<script src="a.js"></script><i></i><p>x</p>' in found


@pytest.mark.parametrize("quoted", [False, True], ids=["bare", "quoted"])
def test_page_with_too_many_attributes_passes_unthemed(
    quoted: bool, application: Application
) -> None:
    def element(count: int) -> str:
        value = '=">"' if quoted else ""
        return f"<p {' '.join(f'a{n}{value}' for n in range(count))}>x</p>"

    assert themed(application, element(256)) is not None
    assert themed(application, element(257)) is None


def test_include_that_is_in_doubt_is_left_empty(application: Application) -> None:
    application.pages = {"/part": f"<p id=part>x</p><svg><title>{HIDDEN % 'title'}</svg>"}
    given = rules('<replace css:theme="body" css:content="#part" href="/part"/>')
    found = ask(application, rules=given, theme=THEME).text
    assert "onerror" not in found


# -- nothing becomes active: pages of random pieces, with html5lib as the judge -------------

NAMES = (
    "svg math select template noscript frameset foreignObject desc title style script textarea"
    " xmp iframe noembed noframes plaintext mtext mi annotation-xml table tr td div p b a form"
    " option g path li ul br wbr source embed col colgroup caption tbody head body html object"
    " button h1 optgroup input nobr mglyph dl dd"
)
LOOSE = ("'>", '">', "-->", "]]>", "<!--", "<![CDATA[", "<?x ", '<p title="', "--!>", "<!-->")
PIECES = {
    "<{name}>": 36,
    "<{name}/>": 5,
    "</{name}>": 21,
    "<a id='": 4,
    "{loose}": 5,
    "&lt;/noscript>&lt;img>": 3,
    "<annotation-xml encoding=text/html>": 4,
    "<body onload=o{number}>": 5,
    "<img id=i{number} onerror=o{number}>": 17,
}


def random_page(seed: int) -> str:
    """A page of pieces that browsers and libxml2 might read differently."""
    source = random.Random(seed)
    pieces = source.choices(list(PIECES), list(PIECES.values()), k=source.randint(3, 14))
    return "<!DOCTYPE html><html><head></head><body>" + "".join(
        piece.format(name=source.choice(NAMES.split()), loose=source.choice(LOOSE), number=number)
        for number, piece in enumerate(pieces)
    )


def active(page: str, *, scripting: bool) -> set[str]:
    """The event handlers and scripts that a browser would run."""
    found: set[str] = set()

    def look(element: Any) -> None:
        name = str(element.tag).rpartition("}")[2]
        found.update(value for key, value in element.attrib.items() if str(key).startswith("on"))
        if name == "script":
            found.add((element.text or "").strip())
        if name != "template" and not (scripting and name == "noscript"):
            for child in element:
                look(child)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"))
        look(parser.parse(page, scripting=scripting))
    return found


@pytest.mark.parametrize("scripting", [True, False], ids=["with scripts", "without"])
def test_theming_makes_nothing_active(scripting: bool) -> None:
    judged = 0
    for seed in range(3000):
        page = random_page(seed)
        try:
            written = serialise(parse(page.encode()), "utf-8", "<!DOCTYPE html>").decode()
        except PageError:
            continue
        judged += 1
        assert active(written, scripting=scripting) <= active(page, scripting=scripting), page
    assert judged > 1000
