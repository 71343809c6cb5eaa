import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from xpu_shared.program.exposition import Family, Kind, Series, labels_text

GAUGE = Family("demo_celsius", Kind.GAUGE, "A temperature.")
COUNTER = Family("demo_bytes_total", Kind.COUNTER, "Bytes.")


def test_a_counter_has_its_suffix_in_samples_and_in_openmetrics_only_there() -> None:
    series = Series()
    series.add(COUNTER, labels_text({"pci_bdf": "0000:3b:00.0"}), 5)

    sample = 'demo_bytes_total{pci_bdf="0000:3b:00.0"} 5\n'
    text = f"# HELP demo_bytes_total Bytes.\n# TYPE demo_bytes_total counter\n{sample}"
    assert series.text(openmetrics=False) == text
    assert series.text(openmetrics=True) == f"# HELP demo_bytes Bytes.\n# TYPE demo_bytes counter\n{sample}# EOF\n"


def test_what_is_not_known_or_no_number_has_no_series_and_no_heading() -> None:
    series = Series()
    for value in (None, math.nan, math.inf):
        series.add(GAUGE, "", value)

    assert series.text(openmetrics=False) == ""


def test_yes_is_1_and_no_is_0() -> None:
    series = Series()
    series.extend([(GAUGE, {"n": 1}, True), (GAUGE, {"n": 2}, False)])

    assert series.text(openmetrics=False).splitlines()[2:] == ['demo_celsius{n="1"} 1', 'demo_celsius{n="2"} 0']


def test_a_label_without_a_value_is_left_out_and_0_is_a_value() -> None:
    assert labels_text({"a": None, "b": "", "c": 0, "d": "x"}) == 'c="0",d="x"'
    assert labels_text({}) == ""


def test_samples_of_a_family_stand_together() -> None:
    series = Series()
    series.add(GAUGE, 'n="1"', 1)
    series.add(COUNTER, "", 2)
    series.add(GAUGE, 'n="2"', 3)

    assert [line for line in series.text(openmetrics=False).splitlines() if "#" not in line] == [
        'demo_celsius{n="1"} 1',
        'demo_celsius{n="2"} 3',
        "demo_bytes_total 2",
    ]


VALUES = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**64))
TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from('\n\\"')), min_size=1, max_size=20
)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=8))
def test_both_formats_are_read_as_what_was_added(samples: dict[str, float]) -> None:
    gauges, counters = Series(), Series()
    for text, value in samples.items():
        gauges.add(GAUGE, labels_text({"model": text}), value)
        counters.add(COUNTER, labels_text({"model": text}), abs(value))
    for series, sign in ((gauges, False), (counters, True)):
        expected = {text: float(abs(value) if sign else value) for text, value in samples.items()}
        for parsed in (
            parse_text(series.text(openmetrics=False)),
            parse_openmetrics(series.text(openmetrics=True)),
        ):
            found = {sample.labels["model"]: float(sample.value) for metric in parsed for sample in metric.samples}
            assert found == expected
