/* What a program here has instead of wmain, and what its porter wrote for it: threads are not Winsock. */
#ifndef CLIENT_H
#define CLIENT_H

#include <windows.h>

#ifdef __cplusplus
extern "C" {
#endif

int RunClient(int argc, TCHAR *argv[]);

typedef DWORD (WINAPI *PFNTHREAD)(LPVOID pvParam);

HANDLE StartThread(PFNTHREAD pfnThread, LPVOID pvParam);
/* FALSE if it runs on after so many milliseconds. After TRUE the handle is gone. */
BOOL WaitForThread(HANDLE hThread, DWORD dwMilliseconds);

#ifdef __cplusplus
}
#endif

#endif
