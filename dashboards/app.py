"""The page of a study, live: the parts of the report, each of which follows the study by itself."""

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
from dashboards.live_page import LivePage, Update
from dashboards.study_page import FIRST_SORT, PARTS, TRIALS, trials_section
from dashboards.tables import Sort, pager, trial_table
from study.analysis.cells import NotShown
from study.analysis.tables import trial_table_info
from study.folders.study_folder import StudyFolder
from study.results.watcher import LiveStudy

POLL_MS = 2500
"""Pause between the answer to a poll and the next one."""

ROWS = 100
"""Trials on a page of the table."""


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
    live = LivePage(LiveStudy(study_folder))
    app = dash.Dash(
        __name__,
        title=f"{live.current[1].name} – CPC study",
        update_title="",
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore=r"report\.js",
        serve_locally=True,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = lambda: _layout(live)
    _follow(app, live)
    for name in PARTS:
        if name != TRIALS:
            _show(app, live, name)
    _show_trials(app, live)
    return app


def _layout(live: LivePage) -> html.Main:
    """Places of the page's parts, which the browser asks for one by one."""
    try:
        revision, record = live.follow()
    except CpcError:
        revision, record = live.current
    return html.Main(
        [
            dcc.Store(id="revision", data=revision),
            dcc.Store(id="view", data={**asdict(FIRST_SORT), "first": 0}),
            dcc.Interval(id="poll", interval=POLL_MS, disabled=record.finished),
            html.P(id="notice", role="status"),
            *(dcc.Store(id=f"{name}-shown", data="") for name in PARTS),
            *(html.Div(id=f"{name}-part") for name in PARTS),
        ]
    )


def _follow(app: dash.Dash, live: LivePage) -> None:
    @app.callback(
        Output("revision", "data"),
        Output("poll", "disabled"),
        Output("notice", "children"),
        Input("poll", "n_intervals"),
        State("revision", "data"),
        # An answer that takes longer than the interval would be superseded by the next poll's.
        running=[(Output("poll", "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def follow(_: int, shown: str) -> tuple[Any, bool, Any]:
        try:
            revision, record = live.follow()
        except CpcError as error:
            return dash.no_update, False, f"Shown as last read: {error}"
        return dash.no_update if revision == shown else revision, record.finished, ""


def _show(app: dash.Dash, live: LivePage, name: str) -> None:
    """Connects a part of the page, which is sent where the browser does not show it yet."""

    @app.callback(
        Output(f"{name}-part", "children"),
        Output(f"{name}-shown", "data"),
        Input("revision", "data"),
        State(f"{name}-shown", "data"),
    )
    def show(_: str, shown: str) -> tuple[Any, str]:
        return _sent(live.update(name, shown), shown)


def _show_trials(app: dash.Dash, live: LivePage) -> None:
    """Connects the table of trials, whose order and page each browser chooses."""

    @app.callback(
        Output(f"{TRIALS}-part", "children"),
        Output(f"{TRIALS}-shown", "data"),
        Output("view", "data"),
        Input("revision", "data"),
        Input({"type": "sort", "column": ALL}, "n_clicks"),
        Input({"type": "rows", "first": ALL}, "n_clicks"),
        State(f"{TRIALS}-shown", "data"),
        State("view", "data"),
    )
    def show(*values: Any) -> tuple[Any, str, dict[str, Any]]:
        shown, view = values[-2:]
        chosen = ctx.triggered_id
        if isinstance(chosen, dict):
            # Buttons that were just drawn report zero clicks.
            if not ctx.triggered[0]["value"]:
                raise PreventUpdate
            view = _chosen(dict(chosen), view)
        info = trial_table_info(live.current[1])
        if isinstance(info, NotShown):
            part = PARTS[TRIALS](live.current[1])
            return *_sent(live.update_to(TRIALS, part, shown), shown), view
        sort = Sort(view["column"], descending=view["descending"])
        rows = slice(view["first"], view["first"] + ROWS)
        table = trials_section(trial_table(info, sort, rows), *pager(len(info.trials), rows))
        return *_sent(live.update_to(TRIALS, table, shown), shown), view


def _chosen(button: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    """The view of the table after a click: another page, or another order from its beginning."""
    if button["type"] == "rows":
        return {**view, "first": button["first"]}
    again = button["column"] == view["column"]
    descending = again and not view["descending"]
    return {"column": button["column"], "descending": descending, "first": 0}


def _sent(update: Update, shown: str) -> tuple[Any, str]:
    """Children and hash of a part; raises PreventUpdate where it is the one that is shown."""
    if update.hash == shown:
        raise PreventUpdate
    if update.changes is None:
        return update.tree, update.hash
    for component, properties in update.changes:
        dash.set_props(component, properties)
    return dash.no_update, update.hash


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
