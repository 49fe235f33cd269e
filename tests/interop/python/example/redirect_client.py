"""What both backends need around the generated stub: a channel, a call with a deadline, a refusal that says why."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# Published beside the proto: retries of UNAVAILABLE, throttled, over all addresses of the name. Ship a copy with yours.
SERVICE_CONFIG = Path(__file__).parents[4] / "proto/aa/redirect/v1/redirect_grpc_service_config.json"
DEADLINE_SECONDS = 2
ATTEMPTS = 3


@dataclass
class Refused(Exception):
    """The service's answer to a call that it did not carry out. Decide by `reason`; `message` is for people."""

    code: str
    message: str
    reason: str = ""
    metadata: dict[str, str] | None = None
    violations: dict[str, str] | None = None
    retry_seconds: float | None = None

    def __str__(self):
        lines = [f"{self.reason or self.code}: {self.message}"]
        lines += [f"  {name}: {value}" for name, value in (self.metadata or {}).items()]
        lines += [f"  {field} {problem}" for field, problem in (self.violations or {}).items()]
        return "\n".join(lines)


def refusal(error: grpc.RpcError) -> Refused:
    """Reads google.rpc.Status out of the error; what the network or the library itself reports has none."""
    refused = Refused(code=error.code().name, message=error.details(), metadata={}, violations={})
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            refused.reason, refused.metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest.FromString(detail.value)
            refused.violations = {v.field: v.description for v in bad.field_violations}
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo.FromString(detail.value)
            refused.retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    return refused


def call(method, request):
    """Calls with a deadline; tries again only where the service is overloaded, after the delay that it names.

    Every other reason is final: the same request gets the same answer. UNAVAILABLE is retried below, by the channel.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return method(request, timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            refused = refusal(error)
            if refused.reason != "OVERLOADED" or refused.retry_seconds is None or not attempts_left:
                raise refused from error
            sleep(refused.retry_seconds)


def connect(address: str) -> grpc.Channel:
    """One channel for the whole process: it reconnects by itself and serves any number of threads."""
    return grpc.insecure_channel(address, options=[("grpc.service_config", SERVICE_CONFIG.read_text())])


def parser(description: str) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--address", default=os.environ.get("AA_REDIRECT_ADDRESS", "127.0.0.1:50051"))
    return arguments


def run(main):
    """Runs a program and shows a refusal as a person wants to read it."""
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
