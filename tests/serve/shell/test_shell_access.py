"""Passwords, users, tokens, tries and sessions, without a server."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from tinymed.errors import ConfigError
from tinymed.serve.access import access as access_module
from tinymed.serve.access import users as users_module
from tinymed.serve.access.access import (
    TRIES_A_NAME,
    TRIES_AN_ADDRESS,
    Access,
    TooManyTriesError,
    WrongSignInError,
    access_of,
)
from tinymed.serve.access.passwords import (
    PasswordHash,
    hash_as_row,
    hash_from_row,
    hash_password,
    is_password,
)
from tinymed.serve.access.sessions import IDLE_S, Sessions
from tinymed.serve.access.tokens import Tokens, read_tokens
from tinymed.serve.access.tries import Tries, network_of
from tinymed.serve.access.users import UsersFile, add_user, read_users, remove_user
from tinymed.serve.settings import ServeSettings

PASSWORD = "long enough for anybody"
TOKEN = "t0ken-of-some-length"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def hashed() -> PasswordHash:
    return hash_password(PASSWORD)


@pytest.fixture
def users(tmp_path: Path, hashed: PasswordHash, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A users file with amina and joão; hashing is done once for all tests."""
    path = tmp_path / "users.json"
    monkeypatch.setattr(users_module, "hash_password", lambda password: hashed)
    add_user(path, "amina", PASSWORD)
    add_user(path, "joão", PASSWORD)
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare passwords without scrypt, whose time is not what is tested."""
    monkeypatch.setattr(access_module, "is_password", lambda password, kept: password == PASSWORD)


def sign_in(access: Access, name: str, password: str, address: str = "10.0.0.1") -> str:
    return asyncio.run(access.sign_in(name, password, address=address))


def test_a_password_is_known_again_and_no_other(hashed: PasswordHash) -> None:
    assert is_password(PASSWORD, hashed)
    assert not is_password(PASSWORD + " ", hashed)
    assert hash_password(PASSWORD).digest != hashed.digest  # another salt
    assert len(hashed.salt) == 16


def test_a_letter_may_be_typed_in_two_ways() -> None:
    kept = hash_password("caf\u00e9 caf\u00e9")
    assert is_password("cafe\u0301 cafe\u0301", kept)


def test_a_hash_survives_its_file(hashed: PasswordHash) -> None:
    assert hash_from_row(json.loads(json.dumps(hash_as_row(hashed)))) == hashed


@pytest.mark.parametrize(
    "change",
    [{"n": 2**10}, {"n": 2**30}, {"salt": "00"}, {"hash": "00"}, {"scheme": "md5"}, {"p": 1000}],
    ids=str,
)
def test_a_hash_that_is_weaker_or_dearer_is_refused(
    hashed: PasswordHash, change: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="scrypt"):
        hash_from_row(hash_as_row(hashed) | change)


def test_the_users_file_is_its_owners_alone_and_holds_no_password(users: Path) -> None:
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert PASSWORD not in users.read_text()
    assert sorted(read_users(users)) == ["amina", "joão"]


def test_a_users_file_that_others_can_read_is_refused(users: Path) -> None:
    users.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_users(users)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65, "a\nb", "a:b"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a user's name"):
        add_user(tmp_path / "users.json", name, PASSWORD)
    assert not (tmp_path / "users.json").exists()


def test_a_password_that_cannot_sign_in_and_a_taken_name_are_refused(users: Path) -> None:
    """A password of 1,100 characters was taken, and every sign-in with it refused as too long."""
    with pytest.raises(ConfigError, match="9 characters"):
        add_user(users, "new", "123456789")
    with pytest.raises(ConfigError, match="1025 characters: choose one of 1024 or fewer"):
        add_user(users, "new", "x" * 1025)
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        add_user(users, "new", "\udcff" * 12)
    with pytest.raises(ConfigError, match="There is a user 'amina'"):
        add_user(users, "amina", PASSWORD)


def test_who_is_removed_is_gone(users: Path) -> None:
    remove_user(users, "amina")
    assert list(read_users(users)) == ["joão"]
    with pytest.raises(ConfigError, match=r"no user 'amina' in .* There: joão"):
        remove_user(users, "amina")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"users": {"x": {}}}', '{"users": 3}', "\x00"])
def test_a_file_that_is_no_users_file_is_called_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is not a users file"):
        read_users(path)


def test_users_added_at_once_are_all_there(
    tmp_path: Path, hashed: PasswordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "hash_password", lambda password: hashed)
    path = tmp_path / "users.json"
    names = [f"user{number}" for number in range(12)]
    threads = [threading.Thread(target=add_user, args=(path, name, PASSWORD)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_users(path)) == sorted(names)


def test_a_change_of_the_file_holds_at_once(users: Path, caplog: pytest.LogCaptureFixture) -> None:
    live = UsersFile(users)
    assert live.find("amina") is not None
    remove_user(users, "amina")
    assert live.find("amina") is None
    assert caplog.messages == []
    users.write_text("damaged")
    assert live.names() == []
    assert live.names() == []
    (line,) = caplog.messages  # or else nobody would learn why all were sent away
    assert "is not a users file" in line
    assert "no user can sign in" in line
    users.unlink()
    assert live.find("joão") is None


def test_a_users_file_without_users_is_no_way_in(tmp_path: Path, users: Path) -> None:
    remove_user(users, "amina")
    remove_user(users, "joão")
    with pytest.raises(ConfigError, match="names nobody"):
        UsersFile(users)


def token_file(folder: Path, text: str) -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_tokens_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    path = token_file(tmp_path, f"# programs\n\nlab {TOKEN}\n")
    tokens = read_tokens(path, {"TINYMED_TOKEN": "from-the-environment"})
    assert tokens.names() == ["lab", "token"]
    assert tokens.name_of(TOKEN) == "lab"
    assert tokens.name_of("from-the-environment") == "token"
    assert tokens.name_of(TOKEN[:-1]) is None
    assert tokens.name_of("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lab", "line 1 is not NAME TOKEN"),
        (f"\nlab {TOKEN} more", "line 2 is not NAME TOKEN"),
        ("lab short", "16 or more"),
        (f"lab {TOKEN}\nlab {TOKEN}x", "a second token"),
        (f"lab {TOKEN}\nward {TOKEN}", "line 2 gives the name 'ward' another name's token"),
        ("# none", "holds no token"),
    ],
)
def test_a_token_file_that_does_not_fit_names_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_tokens(token_file(tmp_path, text), {})
    assert TOKEN not in str(caught.value)
    assert "short" not in str(caught.value)


def test_the_mark_some_editors_begin_a_file_with_is_no_part_of_it(
    tmp_path: Path, users: Path
) -> None:
    assert read_tokens(token_file(tmp_path, f"\ufefflab {TOKEN}"), {}).names() == ["lab"]
    users.write_text("\ufeff" + users.read_text())
    assert sorted(read_users(users)) == ["amina", "joão"]


def test_an_empty_token_in_the_environment_is_an_error_and_not_an_open_door() -> None:
    with pytest.raises(ConfigError, match="TINYMED_TOKEN"):
        read_tokens(None, {"TINYMED_TOKEN": ""})


def test_tries_are_allowed_again_after_a_minute() -> None:
    clock = Clock()
    tries = Tries(per_minute=3, clock=clock)
    for _ in range(3):
        assert tries.wait_s("x") == 0
        tries.count("x")
        clock.now_s += 10
    assert tries.wait_s("x") == 30
    assert tries.wait_s("y") == 0
    clock.now_s += 30
    assert tries.wait_s("x") == 0
    tries.count("x")
    assert tries.wait_s("x") == 10


def test_tries_take_little_memory_whatever_is_tried() -> None:
    tries = Tries(per_minute=3)
    for number in range(20_000):
        tries.count(f"name {number}")
    assert len(tries._times) == 10_000


def test_an_ipv6_user_has_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db9::1")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("::ffff:10.0.0.1") == "10.0.0.1"


def test_a_session_ends_when_idle_for_twelve_hours() -> None:
    clock = Clock()
    sessions = Sessions(clock=clock)
    session_id = sessions.open("amina", mark=b"")
    assert len(session_id) == 43  # 256 bits
    for _ in range(3):
        clock.now_s += IDLE_S - 1
        assert sessions.find(session_id) is not None
    clock.now_s += IDLE_S
    assert sessions.find(session_id) is None
    assert len(sessions) == 0


def test_a_user_has_sixteen_sessions_at_most_and_takes_none_of_others() -> None:
    sessions = Sessions()
    other = sessions.open("joão", mark=b"")
    ids = [sessions.open("amina", mark=b"") for _ in range(20)]
    assert [sessions.find(one) is not None for one in ids] == [False] * 4 + [True] * 16
    assert sessions.find(other) is not None


def test_signing_in_and_out(users: Path) -> None:
    access = Access(users=UsersFile(users))
    session_id = sign_in(access, "amina", PASSWORD)
    assert access.user_of_session(session_id) == "amina"
    assert access.user_of_session(session_id[:-1]) is None
    access.sign_out(session_id)
    assert access.user_of_session(session_id) is None


def test_a_name_may_be_typed_in_two_ways(users: Path, quick: None) -> None:
    access = Access(users=UsersFile(users))
    assert access.user_of_session(sign_in(access, "joa\u0303o", PASSWORD)) == "joão"


def test_a_removed_user_and_a_new_password_end_the_sessions(
    users: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(users=UsersFile(users))
    first, second = sign_in(access, "amina", PASSWORD), sign_in(access, "joão", PASSWORD)
    remove_user(users, "amina")
    assert access.user_of_session(first) is None
    assert access.user_of_session(second) == "joão"
    monkeypatch.setattr(users_module, "hash_password", hash_password)
    remove_user(users, "joão")
    add_user(users, "joão", PASSWORD + "!")
    assert access.user_of_session(second) is None


def test_a_token_signs_in_by_its_name_and_by_no_other(users: Path, quick: None) -> None:
    access = Access(users=UsersFile(users), tokens=Tokens({"lab": TOKEN}))
    assert access.user_of_session(sign_in(access, "lab", TOKEN)) == "lab"
    with pytest.raises(WrongSignInError):
        sign_in(access, "amina", TOKEN)


def test_a_user_and_a_token_of_one_name_are_refused(users: Path) -> None:
    with pytest.raises(ConfigError, match="'amina' names a user and a token"):
        Access(users=UsersFile(users), tokens=Tokens({"amina": TOKEN}))


def wrong(access: Access, name: str, address: str) -> None:
    with pytest.raises(WrongSignInError):
        sign_in(access, name, "wrong", address)


def test_the_sixth_wrong_try_for_a_name_has_to_wait(users: Path, quick: None) -> None:
    clock = Clock()
    access = Access(users=UsersFile(users), clock=clock)
    for number in range(TRIES_A_NAME):
        wrong(access, "amina", f"10.0.0.{number}")
    with pytest.raises(TooManyTriesError) as caught:
        sign_in(access, "amina", PASSWORD, "10.0.1.1")
    assert caught.value.retry_after_s == 60
    sign_in(access, "joão", PASSWORD, "10.0.1.1")
    clock.now_s += 60
    sign_in(access, "amina", PASSWORD, "10.0.1.1")


def test_the_twenty_first_wrong_try_from_an_address_has_to_wait(users: Path, quick: None) -> None:
    access = Access(users=UsersFile(users), tokens=Tokens({"lab": TOKEN}), clock=Clock())
    for number in range(TRIES_AN_ADDRESS):
        wrong(access, f"nobody{number}", "10.0.0.1")
    with pytest.raises(TooManyTriesError):
        sign_in(access, "amina", PASSWORD, "10.0.0.1")
    with pytest.raises(TooManyTriesError):
        access.user_of_token(TOKEN, address="10.0.0.1")
    assert access.user_of_token(TOKEN, address="10.0.0.2") == "lab"


def test_right_tries_count_for_nothing(users: Path, quick: None) -> None:
    access = Access(users=UsersFile(users), clock=Clock())
    for _ in range(30):
        sign_in(access, "amina", PASSWORD)
    for _ in range(TRIES_A_NAME - 1):
        wrong(access, "amina", "10.0.0.2")
    sign_in(access, "amina", PASSWORD)
    for _ in range(TRIES_A_NAME - 1):
        wrong(access, "amina", "10.0.0.2")


def test_a_right_try_gives_the_address_no_new_wrong_ones(users: Path, quick: None) -> None:
    """Or else a user could try others' passwords without end, signing in between."""
    access = Access(users=UsersFile(users), clock=Clock())
    for number in range(TRIES_AN_ADDRESS):
        sign_in(access, "amina", PASSWORD)
        wrong(access, f"nobody{number}", "10.0.0.1")
    with pytest.raises(TooManyTriesError):
        sign_in(access, "amina", PASSWORD)


def test_many_tries_at_once_do_not_slip_through(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def slow(password: str, kept: PasswordHash) -> bool:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return False

    monkeypatch.setattr(access_module, "is_password", slow)
    access = Access(users=UsersFile(users), clock=Clock())

    async def many() -> list[object]:
        tries = [access.sign_in("amina", "x", address="10.0.0.1") for _ in range(40)]
        return await asyncio.gather(*tries, return_exceptions=True)

    kinds = [type(result) for result in asyncio.run(many())]
    assert kinds.count(WrongSignInError) == TRIES_A_NAME
    assert kinds.count(TooManyTriesError) == 40 - TRIES_A_NAME
    assert most == 2


def test_an_unknown_name_is_hashed_as_a_known_one(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(
        access_module, "is_password", lambda password, kept: bool(tried.append(kept)) or True
    )
    access = Access(users=UsersFile(users))
    wrong(access, "nobody", "10.0.0.1")
    assert [(kept.cost, kept.parallelism) for kept in tried] == [(2**15, 3)]


def test_settings_name_users_and_tokens(users: Path, tmp_path: Path) -> None:
    assert not access_of(ServeSettings(), {}).needs_sign_in
    assert access_of(ServeSettings(users=users), {}).needs_sign_in
    assert access_of(ServeSettings(), {"TINYMED_TOKEN": TOKEN}).needs_sign_in
    path = token_file(tmp_path, f"lab {TOKEN}")
    assert access_of(ServeSettings(token_file=path), {}).knows("lab")
    with pytest.raises(ConfigError, match="No such file"):
        access_of(ServeSettings(users=tmp_path / "none.json"), {})


@pytest.mark.skipif(os.name != "posix", reason="file modes are posix's")
def test_a_users_folder_is_made_for_its_owner_alone(
    tmp_path: Path, hashed: PasswordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "hash_password", lambda password: hashed)
    before = os.umask(0o022)
    try:
        add_user(tmp_path / "new" / "users.json", "amina", PASSWORD)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
