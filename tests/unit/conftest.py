# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Properties are held however busy the machine is: how long one example takes is no matter of theirs."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples each time: what fails was broken by the change at hand. `make invariants` draws new ones, and sets WU_EXAMPLES.
settings.register_profile("any machine", deadline=None, derandomize="WU_EXAMPLES" not in os.environ)
settings.load_profile("any machine")
