"""The page of a study, live: the report's components, read again while trials are running."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dash
from dash import ALL, Input, Output, State, ctx, dcc, html
from dash.exceptions import PreventUpdate
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from cpc_core.errors import CpcError
from dashboards.study_page import FIRST_SORT, page
from dashboards.tables import Sort, trial_table
from study.analysis.cells import NotShown
from study.analysis.tables import trial_table_info
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.watcher import LiveStudy

POLL_MS = 2500
"""Interval of polls: a callback slower than it never renders, and drawing can take a second."""


class PortTakenError(CpcError):
    """A port that another program uses.

    Args:
        host: The requested address.
        port: The requested port.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is taken: choose another one with --port, "
            f"for example --port {port + 1}"
        )
        self.host, self.port = host, port


class ListenError(CpcError):
    """An address at which this machine cannot listen."""


def create_app(study_folder: StudyFolder) -> dash.Dash:
    """The app of one study, which only reads the folder and serves all its files itself.

    Raises:
        CpcError: The folder holds no study, or a damaged one.
    """
    live = LiveStudy(study_folder, read_study)
    name = live.latest()[1].name
    app = dash.Dash(
        __name__,
        title=f"{name} – CPC study",
        update_title="",
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore=r"report\.js",
        serve_locally=True,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = lambda: _layout(live)
    _connect(app, live)
    return app


def _layout(live: LiveStudy) -> html.Main:
    revision, record = live.latest()
    return html.Main(
        [
            dcc.Store(id="revision", data=revision),
            dcc.Store(id="sort", data=asdict(FIRST_SORT)),
            dcc.Interval(id="poll", interval=POLL_MS, disabled=record.finished),
            html.P(id="notice", role="status"),
            html.Div(page(record), id="page"),
        ]
    )


def _connect(app: dash.Dash, live: LiveStudy) -> None:
    @app.callback(
        Output("page", "children"),
        Output("revision", "data"),
        Output("poll", "disabled"),
        Output("notice", "children"),
        Input("poll", "n_intervals"),
        State("revision", "data"),
        State("sort", "data"),
        prevent_initial_call=True,
    )
    def refresh(_: int, shown: str, sort: dict[str, Any]) -> tuple[Any, Any, Any, str]:
        try:
            revision, record = live.latest()
        except CpcError as error:
            return dash.no_update, dash.no_update, False, f"Shown as last read: {error}"
        if revision == shown:
            raise PreventUpdate
        return page(record, Sort(**sort)), revision, record.finished, ""

    @app.callback(
        Output("trial-table", "children"),
        Output("sort", "data"),
        Input({"type": "sort", "column": ALL}, "n_clicks"),
        State("sort", "data"),
        prevent_initial_call=True,
    )
    def sort_trials(_: list[int], stored: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        info = trial_table_info(live.latest()[1])
        # Headings that were just drawn report zero clicks; only a click sorts.
        if not ctx.triggered[0]["value"] or isinstance(info, NotShown):
            raise PreventUpdate
        column = ctx.triggered_id["column"]
        sort = Sort(column, descending=column == stored["column"] and not stored["descending"])
        return trial_table(info, sort), asdict(sort)


class _QuietHandler(WSGIRequestHandler):
    """Handler that writes no line to the terminal for each poll."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing: errors are logged elsewhere."""


def open_server(app: dash.Dash, host: str, port: int) -> BaseWSGIServer:
    """A server that already listens at a port (0: any free one); `serve_forever` runs it.

    Raises:
        PortTakenError: Another program uses the port.
        ListenError: The address is not this machine's, or the port is not allowed.
    """
    if not 0 <= port <= 65535:
        raise ListenError(f"{port} is no port: choose one from 1024 to 65535 with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from error
        raise ListenError(
            f"cannot listen at {host}, port {port} ({error.strerror}): "
            "try --host 127.0.0.1 and a --port from 1024"
        ) from error
    with listener:
        return make_server(
            host,
            port,
            app.server,
            threaded=True,
            request_handler=_QuietHandler,
            fd=listener.fileno(),
        )


def serve(
    study_folder: StudyFolder,
    host: str = "127.0.0.1",
    port: int = 8050,
    *,
    on_ready: Callable[[str], None],
) -> None:
    """Shows a study until interrupted.

    Args:
        study_folder: The study.
        host: Address to listen at; 127.0.0.1 keeps it on this machine.
        port: Port to listen at.
        on_ready: Called with the page's address once it answers.

    Raises:
        PortTakenError: Another program uses the port.
        ListenError: The address is not this machine's, or the port is not allowed.
        CpcError: The folder holds no study, or a damaged one.
    """
    server = open_server(create_app(study_folder), host, port)
    on_ready(f"http://{f'[{host}]' if ':' in host else host}:{server.port}/")
    server.serve_forever()
