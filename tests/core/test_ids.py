"""Ids are UUIDv7 and go up."""

import time
from concurrent.futures import ThreadPoolExecutor

from gesso.core.ids import new_id


def test_ids_are_uuid_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= after + 100


def test_ids_of_one_process_go_up_even_within_a_millisecond() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_get_the_same_order_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(), range(10_000)))
    assert len({one.int >> 64 for one in made}) == len(made)
