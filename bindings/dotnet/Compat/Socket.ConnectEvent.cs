using System;
using System.Net;
using System.Net.Sockets;
using System.Reflection;

namespace SslSock.Compat
{
    public partial class Socket
    {
        /// <summary>
        /// A ConnectAsync with SocketAsyncEventArgs on a secure socket. The base class is shown the connection, so that
        /// the arguments say what they always say, and the event is raised when the handshake is done too.
        /// </summary>
        private sealed class ConnectEvent
        {
            private static readonly MethodInfo OnCompleted = typeof(SocketAsyncEventArgs).GetMethod(
                "OnCompleted", BindingFlags.Instance | BindingFlags.NonPublic);

            private readonly Socket socket;
            private readonly SocketAsyncEventArgs arguments;
            private readonly EndPoint given;
            private bool isRaised;

            internal ConnectEvent(Socket socket, SocketAsyncEventArgs arguments)
            {
                this.socket = socket;
                this.arguments = arguments;
                given = arguments.RemoteEndPoint;
            }

            internal void Start(Target target)
            {
                OnThread(() => Run(target));
            }

            private void Run(Target target)
            {
                SocketError outcome = SocketError.Success;
                try
                {
                    socket.Establish(target, Report);
                }
                catch (SocketException problem)
                {
                    outcome = problem.SocketErrorCode;
                }
                catch (ObjectDisposedException)
                {
                    outcome = SocketError.OperationAborted;
                }
                catch (Exception)
                {
                    outcome = SocketError.SocketError;
                }
                if (outcome != SocketError.Success && arguments.LastOperation != SocketAsyncOperation.Connect)
                {
                    SayConnect();
                }
                if (!isRaised)
                {
                    arguments.SocketError = outcome;
                    OnCompleted.Invoke(arguments, new object[] { arguments });
                }
            }

            private void Report(EndPoint reached)
            {
                Call(reached);
                if (arguments.SocketError != SocketError.Success)
                {
                    throw new SocketException((int)arguments.SocketError);
                }
                if (isRaised)
                {
                    // The program has been told already, and may be sending: not in clear.
                    socket.Close();
                }
            }

            /// <summary>LastOperation is the base class's to set, by an attempt that fails at once.</summary>
            private void SayConnect()
            {
                try
                {
                    socket.LetGo();
                    try
                    {
                        Call(Connector.Spoil(socket.Handle.ToInt32(), socket.AddressFamily, () => socket.isClosed));
                    }
                    finally
                    {
                        socket.HoldAgain();
                    }
                }
                catch (ObjectDisposedException)
                {
                    // The outcome tells it.
                }
                catch (SocketException)
                {
                    // Dead, as after a handshake that has failed.
                }
            }

            private void Call(EndPoint endPoint)
            {
                arguments.RemoteEndPoint = endPoint;
                try
                {
                    isRaised = socket.ConnectWithBase(arguments);
                }
                finally
                {
                    arguments.RemoteEndPoint = given;
                }
            }
        }

        private bool ConnectWithBase(SocketAsyncEventArgs arguments)
        {
            return base.ConnectAsync(arguments);
        }
    }
}
