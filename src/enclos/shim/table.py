"""The task service: one row per call, under both of its names.

Versions 2 and 3 differ in the name only. What is not here is answered as not implemented.
"""

from __future__ import annotations

from typing import Final

from enclos.shim import calls, lifecycle, running
from enclos.shim.calls import Method, Rows
from enclos.shim.proto import task_pb2
from enclos.shim.tasks import Shim

SERVICES: Final = ("containerd.task.v2.Task", "containerd.task.v3.Task")

ROWS: Final[Rows] = {
    "State": (task_pb2.StateRequest, running.state),
    "Create": (task_pb2.CreateTaskRequest, lifecycle.create),
    "Start": (task_pb2.StartRequest, lifecycle.start),
    "Delete": (task_pb2.DeleteRequest, lifecycle.delete),
    "Pids": (task_pb2.PidsRequest, running.pids),
    "Pause": (task_pb2.PauseRequest, running.pause),
    "Resume": (task_pb2.ResumeRequest, running.resume),
    "Checkpoint": (task_pb2.CheckpointTaskRequest, running.checkpoint),
    "Kill": (task_pb2.KillRequest, running.kill),
    "Exec": (task_pb2.ExecProcessRequest, lifecycle.execute_process),
    "ResizePty": (task_pb2.ResizePtyRequest, running.resize),
    "CloseIO": (task_pb2.CloseIORequest, running.close_io),
    "Update": (task_pb2.UpdateTaskRequest, running.update),
    "Wait": (task_pb2.WaitRequest, running.wait),
    "Stats": (task_pb2.StatsRequest, running.stats),
    "Connect": (task_pb2.ConnectRequest, running.connect),
    "Shutdown": (task_pb2.ShutdownRequest, lifecycle.shutdown),
}


def services(shim: Shim) -> dict[str, dict[str, Method]]:
    """The rows, their handlers bound to `shim`."""
    return dict.fromkeys(SERVICES, calls.bind(ROWS, shim, waiting="Wait"))
