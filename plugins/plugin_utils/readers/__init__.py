# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reader a family of logs. They make observations and decide nothing; `logs` knows which of them reads what."""
