/* The headers inside a namespace of the program's, where the system's have been included before. */
#include <algorithm>
#include <cstdio>
#include <cwchar>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

namespace win {
#include <winsock2.h>
}

class Client {
public:
    Client() : s(win::socket(AF_INET, SOCK_STREAM, 0)) {}
    ~Client() { win::closesocket(s); }
    int send(const char *text) { return win::send(s, text, static_cast<int>(strlen(text)), 0); }
    int error() { return win::WSAGetLastError(); }

private:
    win::SOCKET s;
};

int main()
{
    win::WSADATA data;
    if (win::WSAStartup(0x202, &data) != 0) {
        return 1;
    }
    Client client;
    win::sockaddr_in address = win::sockaddr_in();
    address.sin_port = win::htons(25);
    return client.send("x") == SOCKET_ERROR && client.error() == WSAENOTCONN ? win::WSACleanup() : 1;
}
