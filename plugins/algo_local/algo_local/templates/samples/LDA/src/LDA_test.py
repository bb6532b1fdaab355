import pytest

from . import LDA

FRUIT = ["apples and pears grow on trees", "pears taste sweet, apples taste sour", "ripe apples, ripe pears"]
MUSIC = ["violins and cellos play music", "the orchestra plays violins", "cellos, violins, an orchestra"]


def words_of(topics):
    return sorted(word for topic in topics for word in topic)


def test_each_word_is_in_one_topic_with_its_frequency():
    topics = LDA.apply({"docsList": ["It's apple picking season", "The apples are ready for picking"]})
    assert words_of(topics) == ["apple", "apples", "picking", "ready", "season"]
    assert {word: count for topic in topics for word, count in topic.items()}["picking"] == 2


def test_subjects_are_told_apart():
    topics = LDA.apply({"docsList": FRUIT + MUSIC, "customSettings": {"numTopics": 2, "numWords": 3}})
    assert len(topics) == 2
    together = {word: number for number, topic in enumerate(topics) for word in topic}
    assert together["apples"] == together["pears"] != together["violins"]


def test_the_same_documents_give_the_same_topics():
    assert LDA.apply({"docsList": FRUIT + MUSIC}) == LDA.apply({"docsList": FRUIT + MUSIC})


@pytest.mark.parametrize(
    "request_",
    [
        "text",
        {},
        {"docsList": []},
        {"docsList": [1]},
        {"docsList": ["the", "of"]},
        {"docsList": ["apple"], "mode": "best"},
        {"docsList": ["apple"], "customSettings": {"numTopics": 0}},
        {"docsList": ["apple"], "customSettings": {"topics": 3}},
    ],
)
def test_bad_input_is_refused(request_):
    with pytest.raises(LDA.InputError):
        LDA.apply(request_)
