"""Real services, each as installed and with no setting for a base URL, and what must work."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

__all__ = ["SERVICES", "Service"]

#: Milliseconds that one step of a check may take.
PATIENCE = 20_000


@dataclasses.dataclass(frozen=True)
class Service:
    """A service that is installed, started on a port, and used through a browser.

    ``packages`` are for pip, ``node_packages`` for npm; ``files`` are written into its
    folder first. ``setup`` and ``command`` are command lines in which ``{python}``, ``{port}`` and
    ``{folder}`` are filled in. ``check`` gets a page and the URL of the service's root.
    """

    name: str
    check: Callable[[Page, str, Path], None]
    command: str
    packages: str = ""
    node_packages: str = ""
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    setup: tuple[str, ...] = ()
    ready: str = "/"


# -- Datasette -------------------------------------------------------------------------

MAKE_DATABASE = """
import sqlite3
with sqlite3.connect("data.db") as database:
    database.execute("drop table if exists cities")
    database.execute("create table cities (name text, size integer)")
    database.executemany("insert into cities values (?, ?)", [("Ulm", 126), ("Bern", 134)])
"""


def check_datasette(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.click("text=data >> nth=0")
    page.click("a:has-text('cities') >> nth=0")
    expect(page.locator("table.rows-and-columns")).to_contain_text("Bern")
    page.click("th.col-size a")
    expect(page.locator("table.rows-and-columns td.col-name").first).to_have_text("Ulm")
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == (
        "collapse"
    )


# -- Django admin ----------------------------------------------------------------------

DJANGO_SITE = """
import os, sys
import django
from django.conf import settings
from django.core.management import call_command, execute_from_command_line

settings.configure(
    DEBUG=True, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", STATIC_URL="/static/",
    INSTALLED_APPS=["django.contrib." + name for name in
        "admin auth contenttypes sessions messages staticfiles".split()],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages"]}}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
if sys.argv[1] == "prepare":
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    User.objects.filter(username__in=["root", "new"]).delete()
    User.objects.create_superuser("root", "", "secret")
else:
    execute_from_command_line(sys.argv)
"""
DJANGO_URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""


def check_django(page: Page, url: str, folder: Path) -> None:
    page.goto(url + "admin/")
    page.fill("#id_username", "root")
    page.fill("#id_password", "secret")
    page.click("input[type=submit]")
    page.click("text=Users")
    page.click("td, th >> a:has-text('root')")
    page.fill("#id_first_name", "Ada")
    page.click("input[name=_continue]")
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")
    page.click("#id_date_joined_0 ~ .datetimeshortcuts a >> nth=0")
    background = "getComputedStyle(document.querySelector('#header')).backgroundColor"
    assert page.evaluate(background) != "rgba(0, 0, 0, 0)"
    page.click("#logout-form button")
    expect(page.locator("#content")).to_contain_text("Thanks for spending")


# -- FastAPI with Swagger UI -------------------------------------------------------------

FASTAPI_APP = """
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

app = FastAPI(docs_url=None)
app.openapi_version = "3.0.3"  # what the bundled Swagger UI knows
app.mount("/static", StaticFiles(directory=swagger_ui_path))

@app.get("/docs", include_in_schema=False)
def docs():  # the same page as FastAPI's own, but with files that need no network
    return get_swagger_ui_html(openapi_url="/openapi.json", title="docs",
        swagger_js_url="/static/swagger-ui-bundle.js", swagger_css_url="/static/swagger-ui.css")

@app.get("/double/{number}")
def double(number: int):
    return {"doubled": number * 2}
"""


def check_swagger(page: Page, url: str, folder: Path) -> None:
    page.goto(url + "docs")
    page.click(".opblock-summary-path")
    page.click("text=Try it out")
    page.fill("input[placeholder=number]", "21")
    page.click("button.execute")
    expect(page.locator(".live-responses-table")).to_contain_text('"doubled"')


# -- Dash, Streamlit, Gradio and their like --------------------------------------------

DASH_APP = """
import sys
from dash import Dash, Input, Output, dcc, html

app = Dash(__name__)
app.layout = html.Div([dcc.Location(id="url"), dcc.Input(id="in", value=""), html.Div(id="out"),
    dcc.Graph(figure={"data": [{"y": [1, 3, 2]}]})])

@app.callback(Output("out", "children"), Input("in", "value"))
def shout(text):
    return f"heard {text.upper()}"

app.run(port=int(sys.argv[1]))
"""


def check_dash(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.fill("#in", "hello")
    expect(page.locator("#out")).to_have_text("heard HELLO")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()


STREAMLIT_APP = """
import streamlit

name = streamlit.text_input("name")
streamlit.session_state.setdefault("count", 0)
if streamlit.button("press"):
    streamlit.session_state.count += 1
streamlit.write(f"pressed {streamlit.session_state.count} times by {name}")
"""


def check_streamlit(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.fill("input[type=text]", "Ada")
    page.press("input[type=text]", "Enter")
    expect(page.locator("text=by Ada")).to_be_visible()
    page.click("button:has-text('press')")
    expect(page.locator("text=pressed 1 times by Ada")).to_be_visible()


GRADIO_APP = """
import sys
import gradio

gradio.Interface(lambda text: f"heard {text.upper()}", "text", "text").launch(
    server_port=int(sys.argv[1]), share=False, quiet=True)
"""


def check_gradio(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.fill("textarea >> nth=0", "hello")
    page.click("button:has-text('Submit')")
    expect(page.locator("textarea").nth(1)).to_have_value("heard HELLO")


BOKEH_APP = """
from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Button, Div

div = Div(text="pressed 0")
button = Button(label="press")
presses = []

def press():
    presses.append(1)
    div.text = f"pressed {len(presses)}"

button.on_click(press)
curdoc().add_root(column(button, div))
"""


def check_bokeh(page: Page, url: str, folder: Path) -> None:
    page.goto(url + "main")
    page.click("button:has-text('press')")
    expect(page.locator("text=pressed 1")).to_be_visible()


NICEGUI_APP = """
import sys
from nicegui import ui

@ui.page("/")
def index():
    label = ui.label("pressed 0")
    ui.button("press", on_click=lambda: label.set_text("pressed 1"))
    ui.button("go", on_click=lambda: ui.navigate.to("/other"))

@ui.page("/other")
def other():
    ui.label("the other page")

ui.run(port=int(sys.argv[1]), reload=False, show=False, host="127.0.0.1")
"""


def check_nicegui(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.click("button:has-text('press')")
    expect(page.locator("text=pressed 1")).to_be_visible()
    page.click("button:has-text('go')")
    expect(page.locator("text=the other page")).to_be_visible()


SHINY_APP = """
from shiny import App, render, ui

app_ui = ui.page_fluid(ui.input_text("name", "name", ""), ui.output_text("greeting"))

def server(input, output, session):
    @render.text
    def greeting():
        return f"hello {input.name().upper()}"

app = App(app_ui, server)
"""


def check_shiny(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.fill("#name", "ada")
    expect(page.locator("#greeting")).to_have_text("hello ADA")


def check_mkdocs(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.click("a:has-text('Second') >> nth=0")
    expect(page.locator("h1")).to_have_text("Second")
    text = folder / "docs" / "second.md"
    text.write_text("# Changed\n")
    try:
        expect(page.locator("h1")).to_have_text("Changed")  # live reload
    finally:
        text.write_text("# Second\n")


def check_flask_admin(page: Page, url: str, folder: Path) -> None:
    page.goto(url + "admin/")
    page.click("a:has-text('Files')")
    page.click("a:has-text('docs')")
    expect(page.locator("table")).to_contain_text("index.md")
    color = "getComputedStyle(document.querySelector('.navbar')).display"
    assert page.evaluate(color) == "flex"


FLASK_ADMIN_APP = """
import pathlib, sys
from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.fileadmin import FileAdmin

app = Flask(__name__)
app.secret_key = "x"
here = pathlib.Path("files")
(here / "docs").mkdir(parents=True, exist_ok=True)
(here / "docs" / "index.md").write_text("x")
Admin(app).add_view(FileAdmin(str(here), name="Files"))
app.run(port=int(sys.argv[1]))
"""


def check_locust(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.fill("input[name=userCount]", "1")
    page.click("button:has-text('Start')")
    try:
        expect(page.locator("table")).to_contain_text("task")
    finally:
        page.click("button:has-text('Stop')")  # and so that it can be started again
        page.click("button:has-text('New')")


LOCUST_FILE = """
import time
from locust import User, constant, events, task

class Quiet(User):
    wait_time = constant(1)

    @task
    def ask(self):
        events.request.fire(request_type="task", name="ask", response_time=1, response_length=1,
            exception=None, context={})
"""


# -- Jupyter -----------------------------------------------------------------------------


def _run_cell(page: Page, cell: str) -> None:
    editor = page.locator(cell).first
    editor.click(timeout=30_000)
    page.keyboard.type("print(6 * 7, 'is it')")
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text("42 is it", timeout=30_000)


def check_jupyterlab(page: Page, url: str, folder: Path) -> None:
    refusal = page.locator(".jp-Dialog button:has-text('Cancel')")  # to build something
    page.add_locator_handler(refusal, lambda: refusal.click())
    page.goto(url + "lab?reset")
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click(timeout=30_000)
    page.locator("text=/Python 3.*Idle/").wait_for(timeout=30_000)
    _run_cell(page, ".jp-Notebook .cm-content")


def check_notebook(page: Page, url: str, folder: Path) -> None:
    page.goto(url + "tree")
    page.locator("text=New >> nth=0").click(timeout=30_000)
    with page.context.expect_page() as opened:
        page.locator(".lm-Menu-itemLabel:has-text('Python 3')").first.click()
    notebook = opened.value
    if notebook.locator("text=Select Kernel").count():
        notebook.click("button:has-text('Select')")
    _run_cell(notebook, ".jp-Notebook .cm-content")


# -- Vite, and client-side routers ---------------------------------------------------------

VITE_INDEX = """<!doctype html>
<html><head><meta charset="utf-8"><link rel="icon" href="/icon.svg"><title>x</title></head>
<body><div id="root"></div><script type="module" src="/src/main.jsx"></script></body></html>
"""
VITE_MAIN = """
import { createRoot } from "react-dom/client";
import App from "./App.jsx";
import "/src/app.css";
import logo from "/src/logo.svg";

window.logo = logo;
createRoot(document.getElementById("root")).render(<App />);
"""
VITE_APP = """
import { useState } from "react";

export default function App() {
  const [count, setCount] = useState(0);
  const [lazy, setLazy] = useState("");
  return <main><h1>First text</h1><button onClick={() => setCount(count + 1)}>count {count}</button>
    <button onClick={async () => setLazy((await import("/src/lazy.js")).text)}>load</button>
    <p id="lazy">{lazy}</p></main>;
}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'
VITE_CONFIG = """
import react from "@vitejs/plugin-react";

export default { plugins: [react()], server: { strictPort: true }, preview: { strictPort: true } };
"""


def check_vite(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    page.click("button:has-text('count 0')")
    expect(page.locator("button").first).to_have_text("count 1")
    page.click("button:has-text('load')")
    expect(page.locator("#lazy")).to_have_text("lazily loaded")
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
    code = folder / "src" / "App.jsx"
    text = code.read_text()
    code.write_text(text.replace("First text", "Second text"))
    try:
        expect(page.locator("h1")).to_have_text("Second text")  # hot, so the count stays
        expect(page.locator("button").first).to_have_text("count 1")
    finally:
        code.write_text(text)
        page.wait_for_timeout(300)


ROUTED_INDEX = VITE_INDEX.replace("/src/main.jsx", "/src/routed.jsx")
ROUTED_MAIN = """
import { createRoot } from "react-dom/client";
import { BrowserRouter, Link, Route, Routes } from "react-router-dom";

createRoot(document.getElementById("root")).render(<BrowserRouter><nav>
  <Link id="to-item" to="/items/7">item</Link></nav><Routes>
  <Route path="/" element={<h1>home</h1>} /><Route path="/items/:id" element={<h1>item</h1>} />
  <Route path="*" element={<h1>not found</h1>} /></Routes></BrowserRouter>);
"""
VUE_INDEX = VITE_INDEX.replace("/src/main.jsx", "/src/vue.js")
BASED_INDEX = VUE_INDEX.replace("<head>", '<head><base href="/">')
VUE_MAIN = """
import { createApp, h } from "vue";
import { createRouter, createWebHistory, RouterLink, RouterView } from "vue-router";

const page = text => ({ render: () => h("h1", text) });
const router = createRouter({ history: createWebHistory(), routes: [
  { path: "/", component: page("home") }, { path: "/items/:id", component: page("item") },
  { path: "/:all(.*)", component: page("not found") }] });
createApp({ render: () => [h(RouterLink, { to: "/items/7", id: "to-item" }, () => "item"),
  h(RouterView)] }).use(router).mount("#root");
"""


def check_router(page: Page, url: str, folder: Path) -> None:
    page.goto(url)
    expect(page.locator("h1")).to_have_text("home")
    page.click("#to-item")
    expect(page.locator("h1")).to_have_text("item")
    page.reload()
    expect(page.locator("h1")).to_have_text("item")
    page.go_back()
    expect(page.locator("h1")).to_have_text("home")


_VITE = "node {folder}/node_modules/vite/bin/vite.js"
_NODE = "vite@8 @vitejs/plugin-react@6 react@19 react-dom@19 react-router-dom@7 vue@3 vue-router@4"


def _built(name: str, index: str, main: str, code: str) -> Service:
    return Service(
        name=name,
        node_packages=_NODE,
        files={"index.html": index, main: code, "vite.config.js": VITE_CONFIG},
        setup=(f"{_VITE} build",),
        command=f"{_VITE} preview --host 127.0.0.1 --port {{port}}",
        check=check_router,
    )


SERVICES = [
    Service(
        name="Datasette",
        packages="datasette",
        files={"make.py": MAKE_DATABASE},
        setup=("{python} make.py",),
        command="{python} -m datasette data.db --port {port}",
        check=check_datasette,
    ),
    Service(
        name="Django admin",
        packages="django",
        files={"site_.py": DJANGO_SITE, "urls.py": DJANGO_URLS},
        setup=("{python} site_.py prepare",),
        command="{python} site_.py runserver 127.0.0.1:{port} --noreload",
        ready="/admin/login/",
        check=check_django,
    ),
    Service(
        name="Swagger UI (FastAPI)",
        packages="fastapi uvicorn swagger-ui-bundle",
        files={"app.py": FASTAPI_APP},
        command="{python} -m uvicorn app:app --port {port}",
        ready="/docs",
        check=check_swagger,
    ),
    Service(
        name="Dash",
        packages="dash",
        files={"app.py": DASH_APP},
        command="{python} app.py {port}",
        check=check_dash,
    ),
    Service(
        name="Vite dev server",
        node_packages=_NODE,
        files={
            "index.html": VITE_INDEX,
            "vite.config.js": VITE_CONFIG,
            "src/main.jsx": VITE_MAIN,
            "src/App.jsx": VITE_APP,
            "src/app.css": "h1 { color: rgb(1, 2, 3); background: url(/icon.svg) }",
            "src/lazy.js": 'export const text = "lazily loaded";',
            "src/logo.svg": SVG,
            "public/icon.svg": SVG,
        },
        command=f"{_VITE} --host 127.0.0.1 --port {{port}}",
        check=check_vite,
    ),
    _built("Vue Router, with <base>", BASED_INDEX, "src/vue.js", VUE_MAIN),
    _built("Vue Router, no base set", VUE_INDEX, "src/vue.js", VUE_MAIN),
    _built("React Router, no base set", ROUTED_INDEX, "src/routed.jsx", ROUTED_MAIN),
    Service(
        name="MkDocs serve",
        packages="mkdocs",
        files={
            "mkdocs.yml": "site_name: x\nsite_url: http://127.0.0.1/\n",
            "docs/index.md": "# First\n",
            "docs/second.md": "# Second\n",
        },
        command="{python} -m mkdocs serve -a 127.0.0.1:{port} --livereload",
        check=check_mkdocs,
    ),
    Service(
        name="Flask-Admin",
        packages="flask-admin",
        files={"app.py": FLASK_ADMIN_APP},
        command="{python} app.py {port}",
        ready="/admin/",
        check=check_flask_admin,
    ),
    Service(
        name="Bokeh",
        packages="bokeh",
        files={"main.py": BOKEH_APP},
        command="{python} -m bokeh serve main.py --port {port}",
        ready="/main",
        check=check_bokeh,
    ),
    Service(
        name="NiceGUI",
        packages="nicegui",
        files={"app.py": NICEGUI_APP},
        command="{python} app.py {port}",
        check=check_nicegui,
    ),
    Service(
        name="Shiny",
        packages="shiny",
        files={"app.py": SHINY_APP},
        command="{python} -m shiny run --port {port} app.py",
        check=check_shiny,
    ),
    Service(
        name="Locust",
        packages="locust",
        files={"locustfile.py": LOCUST_FILE},
        command="{python} -m locust --web-host 127.0.0.1 --web-port {port} -H http://x.example",
        check=check_locust,
    ),
    Service(
        name="Streamlit",
        packages="streamlit",
        files={"app.py": STREAMLIT_APP},
        command="{python} -m streamlit run app.py --server.port {port} --server.headless true"
        " --browser.gatherUsageStats false",
        check=check_streamlit,
    ),
    Service(
        name="Gradio",
        packages="gradio",
        files={"app.py": GRADIO_APP},
        command="{python} app.py {port}",
        check=check_gradio,
    ),
    Service(
        name="JupyterLab",
        packages="jupyterlab",
        command="{python} -m jupyter lab --no-browser --allow-root --port {port}"
        " --IdentityProvider.token= --ServerApp.port_retries=0",
        ready="/lab",
        check=check_jupyterlab,
    ),
    Service(
        name="Jupyter Notebook",
        packages="notebook",
        command="{python} -m jupyter notebook --no-browser --allow-root --port {port}"
        " --IdentityProvider.token= --ServerApp.port_retries=0",
        ready="/tree",
        check=check_notebook,
    ),
]

assert len({re.sub(r"\W+", "-", service.name.lower()) for service in SERVICES}) == len(SERVICES)
