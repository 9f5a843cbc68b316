"""How many there are of something, in words."""


def counted(number: int, noun: str) -> str:
    """1 epoch, 2 epochs. noun: one that gets an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
