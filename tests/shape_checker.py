"""The checker that jaxtyping calls in tests: beartype, with an int allowed for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
