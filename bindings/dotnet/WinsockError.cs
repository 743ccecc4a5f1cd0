using System.Collections.Generic;
using System.Net.Sockets;

namespace SslSock
{
    /// <summary>The Winsock number that stands for a code: the column WSA of docs/errors.md.</summary>
    internal static class WinsockError
    {
        private static readonly Dictionary<SslError, SocketError> Codes = new Dictionary<SslError, SocketError>
        {
            { SslError.BadHandle, SocketError.NotSocket },
            { SslError.Invalid, SocketError.InvalidArgument },
            { SslError.State, SocketError.InvalidArgument },
            { SslError.NoName, SocketError.InvalidArgument },
            { SslError.Unsupported, SocketError.OperationNotSupported },
            { SslError.Reentrant, SocketError.InvalidArgument },
            { SslError.Buffer, SocketError.Fault },
            { SslError.Forked, SocketError.NotSocket },
            { SslError.WantRead, SocketError.WouldBlock },
            { SslError.WantWrite, SocketError.WouldBlock },
            { SslError.WantValidation, SocketError.WouldBlock },
            { SslError.Timeout, SocketError.TimedOut },
            { SslError.Reset, SocketError.ConnectionReset },
            { SslError.Truncated, SocketError.ConnectionReset },
            // There it has no number of its own.
            { SslError.Name, (SocketError)SslError.CertUnknown },
            { SslError.NotYetValid, (SocketError)SslError.CertExpired },
            { SslError.Pin, (SocketError)SslError.CertUnknown }
        };

        /// <summary>By Linux's errno.</summary>
        private static readonly Dictionary<int, SocketError> SystemErrors = new Dictionary<int, SocketError>
        {
            { 1, SocketError.AccessDenied },
            { 4, SocketError.Interrupted },
            { 9, SocketError.NotSocket },
            { 11, SocketError.WouldBlock },
            { 12, SocketError.NoBufferSpaceAvailable },
            { 13, SocketError.AccessDenied },
            { 14, SocketError.Fault },
            { 22, SocketError.InvalidArgument },
            { 23, SocketError.TooManyOpenSockets },
            { 24, SocketError.TooManyOpenSockets },
            { 32, SocketError.Shutdown },
            { 88, SocketError.NotSocket },
            { 95, SocketError.OperationNotSupported },
            { 97, SocketError.AddressFamilyNotSupported },
            { 98, SocketError.AddressAlreadyInUse },
            { 99, SocketError.AddressNotAvailable },
            { 100, SocketError.NetworkDown },
            { 101, SocketError.NetworkUnreachable },
            { 102, SocketError.NetworkReset },
            { 103, SocketError.ConnectionAborted },
            { 104, SocketError.ConnectionReset },
            { 105, SocketError.NoBufferSpaceAvailable },
            { 106, SocketError.IsConnected },
            { 107, SocketError.NotConnected },
            { 110, SocketError.TimedOut },
            { 111, SocketError.ConnectionRefused },
            { 112, SocketError.HostDown },
            { 113, SocketError.HostUnreachable },
            { 114, SocketError.AlreadyInProgress },
            { 115, SocketError.InProgress }
        };

        /// <summary>EFAULT: not an argument but a buffer is wrong.</summary>
        private const int BadAddress = 14;

        internal static int Of(int code, int systemError)
        {
            if (code <= (int)SslError.Signature)
            {
                // Windows CE passes the certificate codes on, and what a hook has chosen.
                return code;
            }
            if (code == (int)SslError.Invalid && systemError == BadAddress)
            {
                return (int)SocketError.Fault;
            }
            SocketError number;
            if (Codes.TryGetValue((SslError)code, out number) ||
                code == (int)SslError.Io && SystemErrors.TryGetValue(systemError, out number))
            {
                return (int)number;
            }
            return (int)SocketError.ConnectionAborted;
        }
    }
}
