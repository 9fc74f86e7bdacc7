from pybuild.builder.content.remembered_files import RememberedFiles


def rows(database):
    return dict(database.all("SELECT folder, digests FROM file_digests"))


def learn(database, texts):
    files = RememberedFiles(database, "here")
    for path, text in texts.items():
        files.learn(path, text)
    files.store()


def test_what_was_learnt_is_known_at_once_and_by_the_next_build(database):
    texts = {"f": b"1", "d/f": b"2", "d/e/f": b"3", "g": b"4", "d/g": b"5"}
    files = RememberedFiles(database, "here")
    for path, text in texts.items():
        files.learn(path, text)
        assert files.get(path) == text
    assert {path: files.get(path) for path in texts} == texts
    files.store()
    files = RememberedFiles(database, "here")
    assert {path: files.get(path) for path in texts} == texts
    assert files.get("d/h") is None
    assert files.get("h/f") is None
    assert RememberedFiles(database, "there").get("f") is None


def test_a_later_text_replaces_an_earlier_one_in_both_rows(database):
    texts = {f"{directory}/{number}": b"1" * 50 for directory in "abc" for number in range(40)}
    learn(database, texts)
    (whole,) = rows(database).values()
    for path, text in (("a/1", b"2"), ("b/1", b"3"), ("a/1", b"4"), ("d/1", b"5")):
        texts[path] = text
        learn(database, {path: text})
        assert whole in rows(database).values()
        assert len(rows(database)) == 2
    many = {f"c/{number}": b"6" for number in range(40)} | {"a/2": b"7"}
    learn(database, many)
    assert len(rows(database)) == 1
    files = RememberedFiles(database, "here")
    assert {path: files.get(path) for path in texts} == texts | many


def test_nothing_learnt_writes_nothing_and_a_source_without_identity_has_nothing(database):
    RememberedFiles(database, "here").store()
    files = RememberedFiles(database, "")
    files.learn("f", b"1")
    files.store()
    assert rows(database) == {}
