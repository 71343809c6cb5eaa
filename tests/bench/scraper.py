"""Scrapes a page as Prometheus does, from a process of its own: URL and number of times; prints seconds and bytes."""

import http.client
import sys
import time
from urllib.parse import urlsplit

HEADERS = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
PAUSE = 0.1  # seconds


def main() -> None:
    url = urlsplit(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        connection = http.client.HTTPConnection(url.netloc)
        connection.request("GET", url.path, headers=HEADERS)
        size = len(connection.getresponse().read())
        connection.close()
        print(time.perf_counter() - began, size, flush=True)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
