/* Copyright (c) 2026, winfleet contributors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 *
 * What the lab asks of a Wine host's registry and service manager while it runs. It shares no code with what is tested.
 * One question a line on standard input, its words with tabs between; the answer's lines end with one that begins "=" and
 * holds a Win32 error code. Text is UTF-8, data of values hexadecimal.
 *
 *   services                      S name, start type, state, process, exit code; of every service
 *   service NAME                  the same of one
 *   key KEY                       V name, type, data; K subkey
 *   tree KEY SKIP...              V path\name, type, data and K path of all below, without what lies under SKIP (paths)
 *   set KEY NAME TYPE DATA        unset KEY NAME       make KEY       delete KEY (with all below)
 *   config NAME START             start NAME           stop NAME
 *   hold FILE                     keeps it open, shared for reading alone, and the folders above it in their places
 *   release                       lets go of all that is held
 * A KEY begins with HKLM\ or HKCU\ and is of the 64-bit view.
 */
#include <windows.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <wchar.h>

#define WORDS 64
#define LINE (1 << 21)

static WCHAR line[LINE], *word[WORDS];
static int words;
static char narrow[LINE];
static BYTE data[1 << 20];

static void put(const WCHAR *text)
{
    /* Names of values may hold what would end a line here. */
    static WCHAR clean[1 << 16];
    size_t i = 0;

    for (; *text && i < (1 << 16) - 2; text++) {
        const WCHAR *special = wcschr(L"\t\r\n\\", *text);
        if (special && *special != '\\') clean[i++] = 0xFFFD;
        else clean[i++] = *text;
    }
    clean[i] = 0;
    WideCharToMultiByte(CP_UTF8, 0, clean, -1, narrow, LINE, NULL, NULL);
    fputs(narrow, stdout);
}

static void put_value(const WCHAR *path, const WCHAR *name, DWORD type, const BYTE *bytes, DWORD size)
{
    fputs("V\t", stdout);
    if (path) { put(path); fputs("\\", stdout); }
    put(name);
    printf("\t%lu\t", type);
    while (size--) printf("%02x", *bytes++);
    fputs("\n", stdout);
}

static HKEY root(const WCHAR *key, const WCHAR **path)
{
    *path = wcschr(key, '\\');
    *path = *path ? *path + 1 : L"";
    return _wcsnicmp(key, L"HKCU\\", 5) ? HKEY_LOCAL_MACHINE : HKEY_CURRENT_USER;
}

static BOOL skipped(const WCHAR *path)
{
    int i;

    for (i = 2; i < words; i++) if (!_wcsicmp(path, word[i])) return TRUE;
    return FALSE;
}

static DWORD list(HKEY key, const WCHAR *path, BOOL deep)
{
    static WCHAR name[32768];
    WCHAR child[256], below[4096];
    DWORD index, length, type, size, error;
    HKEY sub;

    for (index = 0; ; index++) {
        length = 32768, size = sizeof(data);
        error = RegEnumValueW(key, index, name, &length, NULL, &type, data, &size);
        if (error) break;
        put_value(deep ? path : NULL, name, type, data, size);
    }
    for (index = 0; ; index++) {
        length = 256;
        if (RegEnumKeyExW(key, index, child, &length, NULL, NULL, NULL, NULL)) break;
        swprintf(below, 4096, deep ? L"%ls\\%ls" : L"%.0ls%ls", path, child);
        if (deep && skipped(below)) continue;
        fputs("K\t", stdout);
        put(below);
        fputs("\n", stdout);
        if (deep && !RegOpenKeyExW(key, child, 0, KEY_READ | KEY_WOW64_64KEY, &sub)) {
            list(sub, below, TRUE);
            RegCloseKey(sub);
        }
    }
    return NO_ERROR;
}

static DWORD ask_key(BOOL deep)
{
    const WCHAR *path;
    HKEY top = root(word[1], &path), key;
    DWORD error = RegOpenKeyExW(top, path, 0, KEY_READ | KEY_WOW64_64KEY, &key);

    if (error) return error;
    error = list(key, word[1], deep);
    RegCloseKey(key);
    return error;
}

static DWORD set_value(void)
{
    const WCHAR *path;
    HKEY top = root(word[1], &path), key;
    DWORD error, size = 0;
    unsigned byte;

    for (; swscanf(word[4] + 2 * size, L"%2x", &byte) == 1; size++) data[size] = (BYTE)byte;
    error = RegCreateKeyExW(top, path, 0, NULL, 0, KEY_WRITE | KEY_WOW64_64KEY, NULL, &key, NULL);
    if (error) return error;
    error = RegSetValueExW(key, word[2], 0, (DWORD)_wtoi(word[3]), data, size);
    RegCloseKey(key);
    return error;
}

static DWORD unset_value(void)
{
    const WCHAR *path;
    HKEY top = root(word[1], &path), key;
    DWORD error = RegOpenKeyExW(top, path, 0, KEY_WRITE | KEY_WOW64_64KEY, &key);

    if (error) return error;
    error = RegDeleteValueW(key, word[2]);
    RegCloseKey(key);
    return error;
}

static DWORD make_key(void)
{
    const WCHAR *path;
    HKEY top = root(word[1], &path), key;
    DWORD error = RegCreateKeyExW(top, path, 0, NULL, 0, KEY_WRITE | KEY_WOW64_64KEY, NULL, &key, NULL);

    if (!error) RegCloseKey(key);
    return error;
}

static HANDLE holds[256];
static int held;

/* Wine renames a folder above an open file, Windows does not: handles of the folders forbid it here too. */
static DWORD hold(void)
{
    DWORD access = GENERIC_READ | GENERIC_WRITE, share = FILE_SHARE_READ, flags = 0;
    WCHAR *cut;
    HANDLE one;

    do {
        one = CreateFileW(word[1], access, share, NULL, OPEN_EXISTING, flags, NULL);
        if (one == INVALID_HANDLE_VALUE) return GetLastError();
        if (held < 256) holds[held++] = one;
        access = GENERIC_READ, share = FILE_SHARE_READ | FILE_SHARE_WRITE, flags = FILE_FLAG_BACKUP_SEMANTICS;
        if ((cut = wcsrchr(word[1], '\\'))) *cut = 0;
    } while (cut && cut > word[1] + 2);
    return NO_ERROR;
}

static DWORD delete_key(void)
{
    const WCHAR *path;
    HKEY top = root(word[1], &path);

    return RegDeleteTreeW(top, path);
}

static DWORD show(SC_HANDLE manager, const WCHAR *name)
{
    QUERY_SERVICE_CONFIGW *config = (void *)data;
    SERVICE_STATUS_PROCESS status;
    DWORD need, error = NO_ERROR;
    SC_HANDLE service = OpenServiceW(manager, name, SERVICE_QUERY_CONFIG | SERVICE_QUERY_STATUS);

    if (!service) return GetLastError();
    if (!QueryServiceConfigW(service, config, sizeof(data), &need)
        || !QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)&status, sizeof(status), &need))
        error = GetLastError();
    else {
        fputs("S\t", stdout);
        put(name);
        printf("\t%lu\t%lu\t%lu\t%lu\n", config->dwStartType, status.dwCurrentState, status.dwProcessId,
               status.dwWin32ExitCode);
    }
    CloseServiceHandle(service);
    return error;
}

static DWORD show_all(SC_HANDLE manager)
{
    static BYTE buffer[1 << 18];
    ENUM_SERVICE_STATUS_PROCESSW *found = (void *)buffer;
    DWORD need, count, i, resume = 0, start, delayed, size;
    WCHAR path[512];

    if (!EnumServicesStatusExW(manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_STATE_ALL, buffer, sizeof(buffer),
                               &need, &count, &resume, NULL)) return GetLastError();
    /* One call told the states; opening twenty services one by one takes 50 ms. How they start is in the registry at once. */
    for (i = 0; i < count; i++) {
        SERVICE_STATUS_PROCESS *status = &found[i].ServiceStatusProcess;
        swprintf(path, 512, L"SYSTEM\\CurrentControlSet\\Services\\%ls", found[i].lpServiceName);
        size = sizeof(start);
        if (RegGetValueW(HKEY_LOCAL_MACHINE, path, L"Start", RRF_RT_REG_DWORD, NULL, &start, &size)) continue;
        size = sizeof(delayed);
        if (RegGetValueW(HKEY_LOCAL_MACHINE, path, L"DelayedAutostart", RRF_RT_REG_DWORD, NULL, &delayed, &size)) delayed = 0;
        fputs("S\t", stdout);
        put(found[i].lpServiceName);
        printf("\t%lu\t%lu\t%lu\t%lu\t%lu\n", start, status->dwCurrentState, status->dwProcessId, status->dwWin32ExitCode, delayed);
    }
    return NO_ERROR;
}

static DWORD control(SC_HANDLE manager, const WCHAR *verb)
{
    SERVICE_STATUS status;
    DWORD error = NO_ERROR;
    BOOL good;
    SC_HANDLE service = OpenServiceW(manager, word[1], SERVICE_ALL_ACCESS);

    if (!service) return GetLastError();
    if (!wcscmp(verb, L"start")) good = StartServiceW(service, 0, NULL);
    else if (!wcscmp(verb, L"stop")) good = ControlService(service, SERVICE_CONTROL_STOP, &status);
    else good = ChangeServiceConfigW(service, SERVICE_NO_CHANGE, (DWORD)_wtoi(word[2]), SERVICE_NO_CHANGE, NULL, NULL,
                                     NULL, NULL, NULL, NULL, NULL);
    if (!good) error = GetLastError();
    CloseServiceHandle(service);
    return error;
}

static DWORD answer(SC_HANDLE manager)
{
    if (!wcscmp(word[0], L"services")) return show_all(manager);
    if (!wcscmp(word[0], L"release")) {
        while (held) CloseHandle(holds[--held]);
        return NO_ERROR;
    }
    if (words < 2) return ERROR_INVALID_PARAMETER;
    if (!wcscmp(word[0], L"make")) return make_key();
    if (!wcscmp(word[0], L"hold")) return hold();
    if (!wcscmp(word[0], L"service")) return show(manager, word[1]);
    if (!wcscmp(word[0], L"key")) return ask_key(FALSE);
    if (!wcscmp(word[0], L"tree")) return ask_key(TRUE);
    if (!wcscmp(word[0], L"delete")) return delete_key();
    if (!wcscmp(word[0], L"start") || !wcscmp(word[0], L"stop")) return control(manager, word[0]);
    if (words < 3) return ERROR_INVALID_PARAMETER;
    if (!wcscmp(word[0], L"unset")) return unset_value();
    if (!wcscmp(word[0], L"config")) return control(manager, word[0]);
    return !wcscmp(word[0], L"set") && words == 5 ? set_value() : ERROR_INVALID_PARAMETER;
}

int wmain(void)
{
    static char out[1 << 16];
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    WCHAR *next;

    /* Windows has its desktop all the time; Wine makes one (0.7 s) for the first program that asks, PowerShell does, and ends it one second
       after the last. */
    GetDesktopWindow();
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    setvbuf(stdout, out, _IOFBF, sizeof(out));
    while (fgets(narrow, LINE, stdin)) {
        narrow[strcspn(narrow, "\r\n")] = 0;
        MultiByteToWideChar(CP_UTF8, 0, narrow, -1, line, LINE);
        for (words = 0, next = line; next && words < WORDS; words++) {
            word[words] = next;
            if ((next = wcschr(next, '\t'))) *next++ = 0;
        }
        printf("=%lu\n", answer(manager));
        fflush(stdout);
    }
    return 0;
}
