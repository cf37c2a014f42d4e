"""`python -m api`: run the API with the settings of the environment."""

from api.main import main

main()
