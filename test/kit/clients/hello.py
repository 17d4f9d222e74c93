"""The service that drivers register, as far as it is the same in both APIs of the Python client. Owns those methods; the ones
that wait or call back are each driver's own."""


def hello(service_id, config, own):
    # Made anew for each service: the client writes into the functions that it registers.
    def count(upto):
        for number in range(upto):
            yield number

    def fail(text):
        raise ValueError(text)

    def whoami(context=None):
        return {key: context[key] for key in ("from", "to", "ws", "user")}

    about = {"id": service_id, "name": service_id, "config": config}
    if config.get("require_context"):
        return {**about, "whoami": whoami}
    return {
        **about,
        "add": lambda a, b: a + b,
        "reverse": lambda data: data[::-1],
        "echo": lambda value: value,
        "greet": lambda name, greeting="Hello", mark="!": f"{greeting} {name}{mark}",
        "count": count,
        "fail": fail,
        "math": {"twice": lambda number: number * 2, "deep": {"negate": lambda number: -number}},
        **own,
    }
