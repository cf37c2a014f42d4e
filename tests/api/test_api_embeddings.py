"""Embeddings over every wire format, and every way to ask for them wrongly."""

import base64
import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest
from live_service import Service

from api.window_bodies import read_json, windows_of_input

RAW = "application/octet-stream"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
FS_HZ = 125

Trained = tuple[Service, str]


def pulse(bpm: float = 72, samples: int = 1250) -> np.ndarray:
    return np.sin(2 * np.pi * bpm / 60 * np.arange(samples) / FS_HZ).astype("<f4")


def post(trained: Trained, content: bytes, content_type: str, **params: Any) -> httpx.Response:
    service, job_id = trained
    accept = params.pop("accept", "application/json")
    return service.http.post(
        "/v1/embeddings",
        params={"model": job_id, **params},
        content=content,
        headers={"Content-Type": content_type, "Accept": accept},
    )


def post_json(trained: Trained, windows: Any, **members: Any) -> httpx.Response:
    service, job_id = trained
    return service.http.post("/v1/embeddings", json={"model": job_id, "input": windows} | members)


def npy_bytes(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def npy_of_shape(shape: tuple[int, ...]) -> bytes:
    """A header without the data that it announces."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def arrow_bytes(columns: dict[str, Any], compression: str | None = None) -> bytes:
    table, sink = pa.table(columns), pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def embedding_of(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    match answer.headers["content-type"]:
        case "application/octet-stream":
            return np.frombuffer(answer.content, "<f4").reshape(-1, 512)
        case "application/x-npy":
            return np.load(io.BytesIO(answer.content))
        case "application/vnd.apache.arrow.stream":
            table = pa.ipc.open_stream(answer.content).read_all()
            return np.stack(table["embedding"].to_numpy())
        case _:
            rows = [item["embedding"] for item in answer.json()["data"]]
            if isinstance(rows[0], str):
                return np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in rows])
            return np.asarray(rows, np.float32)


def test_a_window_has_the_same_embedding_through_every_wire_format(trained: Trained):
    window = pulse()
    text = base64.b64encode(window.tobytes()).decode()
    answers = [
        post_json(trained, [window.tolist()]),
        post_json(trained, window.tolist()),
        post_json(trained, text),
        post_json(trained, [text], encoding_format="base64"),
        post(trained, window.tobytes(), RAW),
        post(trained, window.tobytes(), RAW, accept=RAW),
        post(trained, npy_bytes(window), NPY, accept=NPY),
        post(trained, npy_bytes(window[None].astype(">f8")), NPY, accept=RAW),
        post(trained, arrow_bytes({"signal": [window]}), ARROW, accept=ARROW),
    ]

    embeddings = [embedding_of(answer) for answer in answers]

    assert embeddings[0].shape == (1, 512)
    assert np.isfinite(embeddings[0]).all()
    for other in embeddings[1:]:
        np.testing.assert_array_equal(other, embeddings[0])


def test_windows_come_back_in_their_order_though_their_lengths_differ(trained: Trained):
    windows = [pulse(60), pulse(90, 2500), pulse(120)]

    together = embedding_of(
        post(trained, arrow_bytes({"signal": windows, "name": ["a", "b", "c"]}), ARROW)
    )

    alone = [embedding_of(post(trained, window.tobytes(), RAW))[0] for window in windows]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


def test_another_rate_is_resampled_to_the_encoders(trained: Trained):
    slow = np.sin(2 * np.pi * 1.2 * np.arange(640) / 64).astype("<f4")

    resampled = embedding_of(post(trained, slow.tobytes(), RAW, fs_hz=64))[0]

    same = embedding_of(post(trained, pulse().tobytes(), RAW))[0]
    other = embedding_of(post(trained, pulse(150).tobytes(), RAW))[0]
    assert np.linalg.norm(resampled - same) < np.linalg.norm(resampled - other) / 3


def test_the_answer_says_which_encoder_was_used(trained: Trained):
    service, job_id = trained
    model = service.http.get(f"/v1/models/{job_id}").json()

    answer = post_json(trained, [pulse().tolist()])

    assert answer.json()["encoder_sha256"] == model["sha256"]
    assert (answer.json()["model"], answer.json()["dim"]) == (job_id, 512)
    assert 0 <= answer.json()["data"][0]["quality"] <= 1
    assert answer.headers["x-encoder-sha256"] == model["sha256"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([None] * 1250, "not finite: 1250 of 1250"),
        ([1e300] * 1250, "not finite"),
        ([1.0] * 1250, "flat"),
        ((pulse() * 3e38).tolist(), "too large"),
        ([0.0, 1.0], "too short: 2 samples"),
        (["ab"], "expected a list of numbers, got a text as sample 0"),
        ([0.5, "1.0"], "expected a list of numbers, got a text as sample 1"),
        ([[1.0, 2.0]], "expected a list of numbers, got a list as sample 0"),
        ([0.5, None, [1.0, 2.0]], "expected a list of numbers, got a list as sample 2"),
        ([0.5, {}], "expected a list of numbers, got an object as sample 1"),
        (7, "expected a list of numbers or a base64 text, got int"),
        ("?", "base64"),
        ("QUJD", "4 bytes a sample, got 3"),
    ],
)
def test_a_bad_item_is_refused_by_itself(trained: Trained, bad: Any, message: str):
    answer = post_json(trained, [pulse().tolist(), bad, pulse(90).tolist()])

    items = answer.json()["data"]
    assert answer.status_code == 200
    assert [item["index"] for item in items] == [0, 1, 2]
    assert ["embedding" in item for item in items] == [True, False, True]
    assert items[1]["error"]["code"] == "window_invalid"
    assert message in items[1]["error"]["message"]


def arrow_rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return pa.ipc.open_stream(answer.content).read_all().to_pylist()


BAD = {"flat": np.zeros(1250, "<f4"), "not finite": np.full(1250, np.nan, "<f4")}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_window_fails_no_other_in_raw_and_npy_where_its_row_is_nan(
    trained: Trained, reason: str
):
    windows = np.stack([pulse(), BAD[reason], pulse(90)])
    answers = [
        post(trained, windows.tobytes(), RAW, windows=3, accept=RAW),
        post(trained, npy_bytes(windows), NPY, accept=NPY),
    ]

    for answer in answers:
        rows = embedding_of(answer)
        assert np.isnan(rows).all(axis=1).tolist() == [False, True, False]
        assert np.isfinite(rows[[0, 2]]).all()
        assert answer.headers["x-refused"] == "1"
        (refusal,) = json.loads(answer.headers["x-refusals"])
        assert refusal["index"] == 1
        assert refusal["error"]["code"] == "window_invalid"
        assert refusal["error"]["message"].startswith(reason)


def test_a_bad_window_fails_no_other_in_arrow_where_its_row_has_the_reason(trained: Trained):
    windows = [pulse(), *BAD.values(), pulse(90)[:100], pulse(90)]

    rows = arrow_rows(post(trained, arrow_bytes({"signal": windows}), ARROW, accept=ARROW))

    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["embedding"] is None for row in rows] == [False, True, True, True, False]
    assert [row["quality"] is None for row in rows] == [False, True, True, True, False]
    reasons = [row["error"] for row in rows]
    assert (reasons[0], reasons[4]) == (None, None)
    for reason, expected in zip(reasons[1:4], ["flat", "not finite", "too short"], strict=True):
        assert reason.startswith(expected)


def test_raw_and_npy_rows_end_with_the_quality_where_it_is_asked_for(trained: Trained):
    windows = np.stack([pulse(), BAD["flat"]])
    items = post_json(trained, windows.tolist()).json()["data"]

    raw = post(trained, windows.tobytes(), RAW, windows=2, accept=RAW, quality=True)
    npy = post(trained, windows.tobytes(), RAW, windows=2, accept=NPY, quality=True)

    rows = np.frombuffer(raw.content, "<f4").reshape(2, 513)
    np.testing.assert_array_equal(rows, np.load(io.BytesIO(npy.content)))
    assert rows[0, 512] == np.float32(items[0]["quality"])
    np.testing.assert_array_equal(rows[0, :512], np.float32(items[0]["embedding"]))
    assert np.isnan(rows[1]).all()


def test_segments_have_an_embedding_and_a_quality_each_in_every_format(trained: Trained):
    windows = np.stack([pulse(), BAD["flat"], pulse(90)])
    segments = {"granularity": "segment"}
    items = post_json(trained, windows.tolist(), **segments).json()["data"]
    by_query = post(
        trained, json.dumps({"input": windows.tolist()}).encode(), "application/json", **segments
    )
    raw = post(trained, windows.tobytes(), RAW, windows=3, accept=RAW, **segments)
    npy = post(trained, npy_bytes(windows), NPY, accept=NPY, **segments)
    arrow = post(
        trained, arrow_bytes({"signal": windows.tolist()}), ARROW, accept=ARROW, **segments
    )

    places = [(item["index"], item.get("segment")) for item in items]
    assert places == [*((0, k) for k in range(5)), (1, None), *((2, k) for k in range(5))]
    assert [item["start_s"] for item in items[:5]] == [k * 256 / FS_HZ for k in range(5)]
    assert by_query.json()["data"] == items
    expected = np.float32([item["embedding"] for item in items if "embedding" in item])
    for rows in (embedding_of(raw), embedding_of(npy)):
        assert rows.shape == (15, 512)
        assert np.isnan(rows[5:10]).all()
        np.testing.assert_array_equal(np.delete(rows, slice(5, 10), 0), expected)
    rows = arrow_rows(arrow)
    assert [(row["index"], row["segment"]) for row in rows] == places
    assert [row["start_s"] for row in rows] == [item.get("start_s") for item in items]
    assert [row["quality"] for row in rows] == [item.get("quality") for item in items]
    np.testing.assert_array_equal(
        np.float32([row["embedding"] for row in rows if row["embedding"]]), expected
    )


def test_an_unknown_granularity_is_refused(trained: Trained):
    answer = post(trained, pulse().tobytes(), RAW, granularity="beat")

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert "'window' or 'segment'" in answer.json()["detail"]


def test_a_request_without_any_good_window_is_refused(trained: Trained):
    answer = post_json(trained, [[0.0] * 1250])

    assert (answer.status_code, answer.json()["code"]) == (422, "window_invalid")


def test_a_window_of_more_than_an_hour_is_refused(trained: Trained):
    answer = post(trained, pulse(72, 4000).tobytes(), RAW, fs_hz=1)

    assert "too long: 4000 s" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "content_type", "params", "message"),
    [
        (b"", RAW, {}, "0 bytes"),
        (b"12345", RAW, {}, "5 bytes are not 1 windows"),
        (bytes(4000), RAW, {"windows": 3}, "4000 bytes are not 3 windows"),
        (b"no array", NPY, {}, "no .npy file"),
        (npy_bytes(np.array([{}]), allow_pickle=True), NPY, {}, "expected an array of numbers"),
        (npy_bytes(np.zeros((1, 2, 3))), NPY, {}, "of shape (1, 2, 3)"),
        (npy_bytes(np.zeros((0, 1250))), NPY, {}, "0 bytes of data"),
        (npy_bytes(np.zeros((2, 9)))[:-8], NPY, {}, "136 bytes of data are not an array of shape"),
        (npy_bytes(np.zeros(9)).replace(b"(9,), }", b"(9,), ("), NPY, {}, "no .npy file"),
        (npy_of_shape((10**12, 1250)), NPY, {}, "0 bytes of data are not an array of shape"),
        (b"no stream", ARROW, {}, "no Arrow stream"),
        (arrow_bytes({"signal": [[1.0, 2.0]]})[:150], ARROW, {}, "no Arrow stream"),
        (arrow_bytes({"signal": [1.0, 2.0]}), ARROW, {}, "expected a column 'signal'"),
        (arrow_bytes({"a": [[1.0]], "b": [[1.0]]}), ARROW, {}, "expected a column 'signal'"),
        (arrow_bytes({"signal": pa.array([], pa.list_(pa.float32()))}), ARROW, {}, "no rows"),
        (arrow_bytes({"signal": [[1.0] * 5000]}, "zstd"), ARROW, {}, "compressed"),
        (
            arrow_bytes({"signal": [[1.0]], "name": pa.array(["a"]).dictionary_encode()}),
            ARROW,
            {},
            "dictionary-encoded",
        ),
    ],
)
def test_a_body_that_is_not_what_its_type_says_is_refused(
    trained: Trained, content: bytes, content_type: str, params: dict[str, Any], message: str
):
    answer = post(trained, content, content_type, **params)

    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")
    assert message in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (b'{"input": [[1e999]]}', "body"),
        (b"[]", "body"),
        (b"{}", "body.input"),
        (b'{"input": [[1]], "fs_hz": 0}', "body.fs_hz"),
        (b'{"input": [[1]], "fs": 125}', "body.fs"),
        (b'{"input": [[1]], "encoding_format": "hex"}', "body.encoding_format"),
    ],
)
def test_json_of_another_shape_is_refused_by_its_path(trained: Trained, content: bytes, path: str):
    answer = post(trained, content, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert path in [error["path"].removesuffix(".list[any]") for error in answer.json()["errors"]]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_with_what_to_send(
    trained: Trained, literal: str
):
    body = b'{"input": [[1.0, %s]]}' % literal.encode()

    answer = post(trained, body, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert "send null for a missing sample" in answer.json()["detail"]
    assert "line 1 column" in answer.json()["detail"]


@pytest.mark.parametrize("given", [[1.0, [2.0]], [None, 1.0, 2.0], [1, 2, "3"]])
def test_a_list_that_begins_like_a_window_is_one(trained: Trained, given: Any):
    answer = post_json(trained, given)

    assert (answer.status_code, answer.json()["code"]) == (422, "window_invalid")
    assert [error["index"] for error in answer.json()["errors"]] == [0]


@pytest.mark.parametrize("is_nested", [True, False])
def test_ten_minutes_in_json_take_less_than_twice_the_bare_parsing(is_nested: bool):
    samples = np.random.default_rng(0).normal(size=75_000).astype(np.float32).tolist()
    body = bytearray(orjson.dumps({"input": [samples] if is_nested else samples}))

    bare_s = cpu_time_s(lambda: orjson.loads(body))
    ours_s = cpu_time_s(lambda: windows_of_input(read_json(body).input))

    assert ours_s < 2 * bare_s


def cpu_time_s(work: Callable[[], object]) -> float:
    """Of this thread alone, the median of several runs."""
    times: list[float] = []
    for _ in range(25):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return statistics.median(times)


@pytest.mark.parametrize("given", [[], ""])
def test_an_empty_input_is_refused(trained: Trained, given: Any):
    answer = post_json(trained, given)

    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")


@pytest.mark.parametrize("parameters", [{"fs_hz": 0}, {"fs_hz": "nan"}, {"windows": 0}])
def test_impossible_parameters_are_refused(trained: Trained, parameters: dict[str, Any]):
    answer = post(trained, pulse().tobytes(), RAW, **parameters)

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-npz"])
def test_another_content_type_is_refused_with_those_that_are_taken(
    trained: Trained, content_type: str
):
    answer = post(trained, b"1", content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert RAW in answer.json()["detail"]


def test_an_answer_that_cannot_be_given_is_refused(trained: Trained):
    answer = post(trained, pulse().tobytes(), RAW, accept="text/html, application/json;q=0")

    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_the_most_wanted_type_is_answered(trained: Trained):
    accept = f"text/html, application/json;q=0.5, {NPY};q=0.9, */*;q=0.1"

    answer = post(trained, pulse().tobytes(), RAW, accept=accept)

    assert answer.headers["content-type"] == NPY


@pytest.mark.parametrize("model", ["nobody", "job_0123", "../../etc", "a\x00b", ""])
def test_an_unknown_model_is_refused(trained: Trained, model: str):
    service, _ = trained

    answer = service.http.post("/v1/embeddings", json={"model": model, "input": [[1.0]]})

    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
