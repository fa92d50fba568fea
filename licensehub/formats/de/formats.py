"""German."""

from __future__ import annotations

DATE_FORMAT = "j. M Y"  # 21. Aug. 2026
DATETIME_FORMAT = "j. M Y, H:i"
TIME_FORMAT = "H:i"
SHORT_DATE_FORMAT = DATE_FORMAT
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
SECONDS_FORMAT = "j. M Y, H:i:s"
WEEKDAY_FORMAT = "D, j. M Y"  # Fr, 21. Aug. 2026
FULL_WEEKDAY_TIME_FORMAT = "l, j. M, H:i"
FULL_WEEKDAY_TIME_AND_ZONE_FORMAT = "l, j. M, H:i e"
WEEKDAY_TIME_FORMAT = "D, j. M Y, H:i"
DEADLINE_FORMAT = "D, j. M Y, H:i e"
TIME_AND_ZONE_FORMAT = "H:i e"
DATETIME_AND_ZONE_FORMAT = "j. M Y, H:i e"
MONTH_DAY_FORMAT = "j. M"
YEAR_MONTH_FORMAT = "M Y"
MONTH_DAY_TIME_FORMAT = "j. M, H:i"
DECIMAL_SEPARATOR = ","
THOUSAND_SEPARATOR = "."
NUMBER_GROUPING = 3
# ISO 8601 first: it is what a browser's fields for days and times send and expect.
DATE_INPUT_FORMATS = ["%Y-%m-%d", "%d.%m.%Y"]
TIME_INPUT_FORMATS = ["%H:%M:%S", "%H:%M"]
DATETIME_INPUT_FORMATS = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"]
