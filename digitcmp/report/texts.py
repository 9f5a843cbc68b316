"""The type of a column of texts from outside."""

import pandas as pd

# pyarrow's, which pandas takes where it is installed, cannot hold what no file of UTF-8 can: names of folders that are none of a language
TEXT = pd.StringDtype("python")
