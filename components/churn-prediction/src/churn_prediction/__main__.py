"""python -m churn_prediction <command>"""

import sys

from churn_prediction.main import component


def main() -> None:
    sys.exit(component.main())


if __name__ == "__main__":
    main()
