"""What tests do with any sidecar that runs as a process: read its log and its page."""

import subprocess
import urllib.error
import urllib.request


class RunningSidecar:
    process: "subprocess.Popen[str]"  # with its log in a pipe at stderr
    log = ""  # what was read of it

    def read_until(self, text: str) -> str:
        """Read the log until a line has `text` in it; that line."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.log += line
            if text in line:
                return line
        raise AssertionError(f"{text!r} is not in:\n{self.log}")

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page; the address is in the log."""
        if "serves metrics" not in self.log:
            self.read_until("serves metrics")
        port = self.log.split('"serves metrics"')[1].split("port=")[1].split()[0]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
