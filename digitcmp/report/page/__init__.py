"""The report as one HTML page: tables that can be sorted and filtered, figures that answer to the pointer, and their static forms."""
