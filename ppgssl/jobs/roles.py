"""What an API key lets its bearer do. Each role may do all that the one before it may.

Which request needs which role is the API's to say; this file knows no route.
"""

from enum import StrEnum


class Role(StrEnum):
    """How much a key opens, from the least to the most."""

    READ = "read"
    """Look at everything, and embed."""
    SUBMIT = "submit"
    """Also create jobs, and cancel, pause and resume them."""
    ADMIN = "admin"
    """Also move aliases and delete: anything that the service can do."""

    def covers(self, needed: "Role") -> bool:
        """Whether a key of this role may do what needs `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
