# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Updates are told by their titles in any language, and releases by their builds."""

from __future__ import annotations

from calendar import timegm
from datetime import date

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import releases, updates
from hypothesis import given
from hypothesis import strategies as st

# How Windows writes the title of a cumulative update; only the month, the release and the number are made up.
CUMULATIVE = [
    "2026-10 Cumulative Update for Windows 11 Version 24H2 for x64-based Systems (KB5099001)",
    "2026-10 Cumulative Update Preview for Windows 10 Version 22H2 for x64-based Systems (KB5099001)",
    "2026-10 Cumulative Update for Microsoft server operating system version 21H2 for x64-based Systems (KB5099001)",
    "2026-10 Security Update (KB5099001) (26100.7171)",
    "2026-10 Preview Update (KB5099001) (26200.7309)",
    "2026-10 Security Hotpatch Update for Windows Server 2025 (KB5099001)",
    "2026-10 Kumulatives Update für Windows 10 Version 22H2 für x64-basierte Systeme (KB5099001)",
    "2026-10 Mise à jour cumulative pour Windows 11 Version 24H2 pour les systèmes x64 (KB5099001)",
    "2026-10 Actualización acumulativa para Windows 11 Version 24H2 para sistemas basados en x64 (KB5099001)",
    "2026-10 Aggiornamento cumulativo per Windows 11 Version 24H2 per sistemi basati su x64 (KB5099001)",
    "Atualização cumulativa 2026-10 para o Windows 10 Version 22H2 para sistemas baseados em x64 (KB5099001)",
    "2026-10 Cumulatieve update voor Windows 11 Version 24H2 voor x64-systemen (KB5099001)",
    "2026-10 Kumulativ uppdatering för Windows 11 Version 24H2 för x64-baserade system (KB5099001)",
    "2026-10 Aktualizacja zbiorcza dla systemu Windows 10 Version 22H2 dla systemów opartych na procesorach x64 (KB5099001)",
    "2026-10 kumulativní aktualizace pro Windows Server 2016 pro systémy x64 (KB5099001)",
    "2026-10 összegző frissítés a Windows Server 2016 x64-alapú rendszerekhez (KB5099001)",
    "2026-10 Накопительное обновление для Windows 11 Version 24H2 для систем на базе процессоров x64 (KB5099001)",
    "2026-x64 tabanlı Sistemler için Windows 10 Version 22H2 10 Toplu Güncelleştirmesi (KB5099001)",
    "x64 tabanlı Sistemler için Windows 10 Version 22H2 TOPLU GÜNCELLEŞTİRMESİ (KB5099001)",
    "2026-10 x64 ベース システム用 Windows 11 Version 24H2 の累積更新プログラム (KB5099001)",
    "2026-10 适用于基于 x64 的系统的 Windows 11 Version 24H2 的累积更新 (KB5099001)",
    "2026-10 適用於 x64 系統 Windows 10 Version 22H2 的累積更新 (KB5099001)",
    "2026-10 x64 기반 시스템용 Windows 11 Version 24H2에 대한 누적 업데이트(KB5099001)",
    "2026-10 Actualizare cumulativă pentru Windows 11 Version 24H2 (KB5099001)",
    "2026-10 Kumulatiivinen päivitys: Windows 11 Version 24H2 (KB5099001)",
    "Security Monthly Quality Rollup for Windows 7 for x64-based Systems (KB5099001)",
    "2020-10 Monatliches Sicherheitsqualitätsrollup für Windows 8.1 für x64-basierte Systeme (KB5099001)",
    "2020-10 Correctif cumulatif mensuel de qualité et de sécurité pour Windows Server 2012 R2 (KB5099001)",
    "2020-10 x64 ベース システム用 Windows 7 向けセキュリティ マンスリー品質ロールアップ (KB5099001)",
]
DOTNET = [
    "2026-10 Cumulative Update for .NET Framework 3.5, 4.8 and 4.8.1 for Windows 10 Version 22H2 for x64 (KB5099002)",
    "2026-10 .NET Framework Security Update (KB5099002)",
    "2020-10 Security and Quality Rollup for .NET Framework 4.8 for Windows 7 for x64 (KB5099002)",
    "2026-10 Kumulatives Update für .NET Framework 3.5 und 4.8.1 für Windows 11 (KB5099002)",
    "2026-10 适用于 Windows 11 的 .NET Framework 3.5 和 4.8.1 的累积更新预览 (KB5099002)",
]
STACK = [
    "2026-10 Servicing Stack Update for Windows Server 2016 for x64-based Systems (KB5099003)",
    "2026-10 Servicing Stack Update (KB5099003) (26100.7171)",
    "2026-10 Wartungsstapelaktualisierung für Windows Server 2016 für x64-basierte Systeme (KB5099003)",
    "Mise à jour de la pile de maintenance pour Windows Server 2016 pour les systèmes x64 (KB5099003)",
    "Actualización de la pila de servicio para Windows Server 2016 en sistemas basados en x64 (KB5099003)",
    "Обновление стека обслуживания для Windows Server 2016 для x64-разрядных систем (KB5099003)",
    "x64 ベース システム用 Windows Server 2016 に対するサービス スタック更新プログラム (KB5099003)",
    "适用于基于 x64 的系统的 Windows Server 2016 的服务堆栈更新 (KB5099003)",
]
OTHER = [
    "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.421.290.0)",
    "2024-01 Security Update for Windows 10 Version 22H2 for x64-based Systems (KB5034441)",
    "x64 Tabanlı Sistemler için Windows 10 Version 22H2 2024-05 Güncelleştirmesi (KB5001716)",
    "SQL Server 2019 RTM Cumulative Update (CU) 32 (KB5099004)",
    "Cumulative Update for Configuration Manager 2403 (KB5099006)",
    "Windows Malicious Software Removal Tool x64 - v5.130 (KB890830)",
    "2020-10 Security Only Quality Update for Windows 7 for x64-based Systems (KB5099007)",
    "NVIDIA - Display - 31.0.15.1694",
    "9NBLGGH4QGHW-Microsoft.MicrosoftStickyNotes",
    "Microsoft .NET Framework 4.8.1 for Windows 10 Version 22H2 for x64 (KB5011048)",
    "Cumulative Security Update for Internet Explorer 11 for Windows Server 2012 (KB5099005)",
    "",
]


@pytest.mark.parametrize("title", CUMULATIVE)
def test_cumulative_updates_of_windows(title: str) -> None:
    assert updates.is_cumulative_os(title)
    assert not updates.is_dotnet(title)
    assert not updates.is_servicing_stack(title)


@pytest.mark.parametrize("title", DOTNET)
def test_updates_of_dotnet(title: str) -> None:
    assert updates.is_dotnet(title)
    assert not updates.is_cumulative_os(title)


@pytest.mark.parametrize("title", STACK)
def test_servicing_stack_updates(title: str) -> None:
    assert updates.is_servicing_stack(title)
    assert not updates.is_cumulative_os(title)


@pytest.mark.parametrize("title", OTHER)
def test_other_updates(title: str) -> None:
    assert not updates.is_cumulative_os(title)
    assert not updates.is_dotnet(title)
    assert not updates.is_servicing_stack(title)


def test_nothing_is_no_title() -> None:
    assert not any(ask(None) for ask in (updates.is_cumulative_os, updates.is_dotnet, updates.is_servicing_stack))


@given(st.text(max_size=400))
def test_a_title_is_of_one_kind(title: str) -> None:
    assert not (updates.is_cumulative_os(title) and (updates.is_dotnet(title) or updates.is_servicing_stack(title)))


def test_rolling_articles() -> None:
    assert all(updates.rolling_kb(kb) for kb in ("KB2267602", "kb4052623", "890830", "KB4023057", "KB5001716"))
    assert not any(updates.rolling_kb(kb) for kb in ("KB5034441", "", "KB", None))
    assert updates.rolling_name("kb890830") == "Windows Malicious Software Removal Tool"
    assert updates.rolling_name("KB5034441") is None


@pytest.mark.parametrize(
    ("title", "kb"),
    [
        (
            "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.391.396.0) - Current Channel (Broad)",
            "KB2267602",
        ),
        ("Security Intelligence-Update f\u00fcr Microsoft Defender Antivirus \u2013 KB2267...Version 1.441.10.0)", "KB2267602"),
        ("Update for Microsoft Defender Antivirus antimalware platform - KB40526...ersion ", "KB4052623"),
        ("Update f\u00fcr die Microsoft Defender Antivirus-Antischadsoftwareplattform (Version 4.18.25010.3)", "KB4052623"),
        ("2026-11 Security Update (KB5099001) (26100.7171)", None),
        ("Windows Security platform", None),
        (None, None),
    ],
)
def test_a_title_of_defender_stands_for_its_article(title: str | None, kb: str | None) -> None:
    assert updates.rolling_of(title) == kb
    assert updates.updates_itself("KB4052623")
    assert not updates.updates_itself("KB890830")


def test_updates_of_the_recovery_environment() -> None:
    for kb in ("KB5034439", "KB5034440", "KB5034441", "KB5042320", "KB5042321", "KB5042322", "KB5048239", "KB5057589"):
        assert updates.is_winre(kb, None)
    assert updates.is_winre(None, "Windows Recovery Environment update for Windows 10 (KB5099009)")
    assert not updates.is_winre("KB5099001", CUMULATIVE[0])
    assert updates.is_false_failure("KB5057589", 0x80070643)
    assert not updates.is_false_failure("KB5057589", 0x80070002)
    assert not updates.is_false_failure("KB5034441", 0x80070643)


@pytest.mark.parametrize(
    ("guid", "name"),
    [
        ("{0FA1201D-4330-4FA8-8AE9-B877473B6441}", "Security Updates"),
        ("3689bdc8-b205-4af4-8d4a-a63924c5e9d5", "Upgrades"),
        ("ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0", "Drivers"),
        ("e0789628-ce08-4437-be74-2495b842f43b", "Definition Updates"),
        ("00000000-0000-0000-0000-000000000000", None),
        ("", None),
        (None, None),
    ],
)
def test_classifications(guid: str | None, name: str | None) -> None:
    assert updates.classification(guid) == name


# --- releases ---

NOW = timegm(date(2026, 11, 24).timetuple())


@pytest.mark.parametrize(
    ("build", "product", "edition", "name", "last_day"),
    [
        (19045, "client", "Professional", "Windows 10 22H2", "2025-10-14"),
        (19045, "client", "EnterpriseS", "Windows 10 22H2", "2025-10-14"),
        (19044, "client", "EnterpriseS", "Windows 10 21H2", "2027-01-12"),
        (19044, "client", "IoTEnterpriseS", "Windows 10 21H2", "2032-01-13"),
        (19044, "client", "Enterprise", "Windows 10 21H2", "2024-06-11"),
        (17763, "client", "EnterpriseSN", "Windows 10 1809", "2029-01-09"),
        (22631, "client", "Core", "Windows 11 23H2", "2025-11-11"),
        (22631, "client", "ProfessionalN", "Windows 11 23H2", "2025-11-11"),
        (22631, "client", "Education", "Windows 11 23H2", "2026-11-10"),
        (26100, "client", "Professional", "Windows 11 24H2", "2026-10-13"),
        (26100, "client", "ServerRdsh", "Windows 11 24H2", "2027-10-12"),
        (26200, "client", "Professional", "Windows 11 25H2", "2027-10-12"),
        (26100, "client", None, "Windows 11 24H2", "2034-10-10"),
        (14393, "server", "ServerStandard", "Windows Server 2016", "2027-01-12"),
        (17763, "server", "ServerDatacenter", "Windows Server 2019", "2029-01-09"),
        (20348, "domain_controller", "ServerStandard", "Windows Server 2022", "2031-10-14"),
        (26100, "server", "ServerStandard", "Windows Server 2025", "2034-11-14"),
    ],
)
def test_releases(build: int, product: str, edition: str | None, name: str, last_day: str) -> None:
    release = releases.of(build, product, edition)
    assert release is not None
    assert (release.name, release.last_day) == (name, last_day)
    assert release.supported_until == timegm(date.fromisoformat(last_day).timetuple()) + 86400
    assert release.is_supported(NOW) == (last_day >= "2026-11-24")
    assert release.is_supported(release.supported_until - 1)
    assert not release.is_supported(release.supported_until)


def test_releases_that_nobody_knows() -> None:
    assert releases.of(99999, "client", "Professional") is None
    assert releases.of(None, None, None) is None
    assert releases.of(19045, "server", None) is None


def test_dates_of_clients_are_patch_tuesdays() -> None:
    for row in releases._TABLE["client"].values():
        for kind in ("home", "enterprise", "ltsc", "iot"):
            if kind in row:
                day = date.fromisoformat(row[kind])
                assert (day.weekday(), 8 <= day.day <= 14) == (1, True), row


@pytest.mark.parametrize(
    ("build", "release", "title", "done"),
    [
        (26100, "24H2", "Windows 11, version 24H2", True),
        (26200, "24H2", "Windows 11, version 24H2", True),
        (22631, "24H2", "Windows 11, version 24H2", False),
        (19045, "22H2", "Feature update to Windows 10, version 22H2", True),
        (19045, "22H2", "Windows 11, version 22H2", False),
        (19045, "22H2", "", False),
        (22621, "22h2", None, True),
        (22621, "22H2", "Feature update to Windows 10, version 22H2", True),
        (26100, "", "Windows 11", False),
        (26100, "99H9", "Windows 11, version 99H9", False),
    ],
)
def test_whether_an_upgrade_is_done(build: int, release: str, title: str | None, done: bool) -> None:
    assert releases.runs(build, release, title) == done


@pytest.mark.parametrize(
    ("title", "names_none"),
    [
        ("2026-01 Security Update (KB5099001)", True),
        ("2026-01 Sicherheitsupdate (KB5099001)", True),
        ("2026-01 Security Update (KB5099001) (26100.7171)", False),
        ("2026-01 .NET Framework Security Update (KB5099001)", False),
        ("2026-01 Security Update for Windows 11 (KB5099001)", False),
        ("Security Update for Lab Suite (KB5099001)", False),
        (None, False),
    ],
)
def test_monthly_titles_that_say_nothing_of_what_they_are_for(title: str | None, names_none: bool) -> None:
    assert updates.names_no_product(title) is names_none
