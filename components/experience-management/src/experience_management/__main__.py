"""python -m experience_management <command>"""

import sys

from experience_management.main import component


def main() -> None:
    sys.exit(component.main())


if __name__ == "__main__":
    main()
