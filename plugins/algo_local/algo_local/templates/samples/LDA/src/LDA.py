"""What a set of documents is about: topics, each a group of words with how often they occur."""

import json

import Algorithmia
import requests
from Algorithmia import ADK
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer

ITERATIONS = {"fast": 20, "quality": 200}
DEFAULTS = {"numTopics": 4, "numWords": 8}
DATA_SCHEMES = ("data://", "s3://", "s3+", "gs://", "azureblob://", "dropbox://")
WEB_TIMEOUT = 30  # seconds
SEED = 0  # the same documents give the same topics

client = Algorithmia.client()


class InputError(Exception):
    """The caller sent something that this algorithm does not take."""

    error_type = "InputError"


def fetch(text):
    """The text itself, or what it leads to if it is the address of a document: a data URI or a web URL."""
    try:
        if text.startswith(DATA_SCHEMES):
            return client.file(text).getString()
        if text.startswith(("http://", "https://")):
            response = requests.get(text, timeout=WEB_TIMEOUT)
            response.raise_for_status()
            return response.text
    except Exception as error:
        raise InputError("cannot read the document {}: {}".format(text, error))
    return text


def documents(given):
    """The documents as a list of strings. One address instead of a list leads to a JSON list, or to one per line."""
    if isinstance(given, str):
        text = fetch(given)
        try:
            given = json.loads(text)
        except ValueError:
            given = text.splitlines()
    if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
        raise InputError('"docsList" must be a list of at least one document, each a string')
    return [fetch(each) for each in given]


def settings(request):
    """Number of topics, of words in each, and of iterations."""
    mode = request.get("mode", "quality")
    if mode not in ITERATIONS:
        raise InputError('"mode" must be one of: {}'.format(", ".join(sorted(ITERATIONS))))
    chosen = dict(DEFAULTS, numIterations=ITERATIONS[mode])
    custom = request.get("customSettings") or {}
    if not isinstance(custom, dict):
        raise InputError('"customSettings" must be an object')
    for name, value in custom.items():
        if name not in chosen:
            raise InputError('unknown setting "{}"; known are: {}'.format(name, ", ".join(sorted(chosen))))
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
            raise InputError('"{}" must be a whole number from 1 to 1000'.format(name))
        chosen[name] = value
    return chosen


def topics(texts, chosen):
    """Each word goes to the topic that it is most probable in; topics without words are left out."""
    vectorizer = CountVectorizer(stop_words="english")
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:
        raise InputError("the documents hold no words besides common ones such as 'the'")
    model = LatentDirichletAllocation(
        n_components=chosen["numTopics"], max_iter=chosen["numIterations"], random_state=SEED
    )
    model.fit(counts)
    # How probable each word is within each topic, so that large topics do not attract every word.
    probabilities = model.components_ / model.components_.sum(axis=1, keepdims=True)
    frequencies = counts.sum(axis=0).tolist()[0]
    grouped = [{} for _ in probabilities]
    for index, word in enumerate(vectorizer.get_feature_names_out()):
        grouped[int(probabilities[:, index].argmax())][str(word)] = int(frequencies[index])
    cut = [sorted(words.items(), key=lambda item: (-item[1], item[0]))[: chosen["numWords"]] for words in grouped]
    return [dict(words) for words in sorted(filter(None, cut), key=lambda words: (-words[0][1], words[0][0]))]


def apply(input):
    if not isinstance(input, dict) or "docsList" not in input:
        raise InputError('the input must be an object with the member "docsList"')
    return topics(documents(input["docsList"]), settings(input))


algorithm = ADK(apply)
# Run as a file, this tries the documents below; on the platform it waits for requests.
algorithm.init({"docsList": ["It's apple picking season", "The apples are ready for picking"]})
