using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock.Compat
{
    public partial class Socket
    {
        private int connecting;

        /// <summary>Connects, and makes the handshake unless that is deferred.</summary>
        /// <param name="remoteEP">The peer. A DnsEndPoint also gives the name of the certificate.</param>
        /// <exception cref="SocketException">The connection could not be made; it can be tried again.</exception>
        /// <exception cref="SslSocketException">The handshake failed; the connection is dead.</exception>
        public new void Connect(EndPoint remoteEP)
        {
            if (remoteEP == null || GoesToBase)
            {
                KeepName(remoteEP, () => Target.Of(remoteEP));
                base.Connect(remoteEP);
                return;
            }
            Establish(Target.Of(remoteEP));
        }

        /// <summary>As <see cref="Connect(EndPoint)"/>.</summary>
        public new void Connect(IPAddress address, int port)
        {
            if (address == null || GoesToBase)
            {
                KeepName(address, () => Target.Of(address, port));
                base.Connect(address, port);
                return;
            }
            Establish(Target.Of(address, port));
        }

        /// <summary>
        /// Connects to the first of the addresses that can be reached, as <see cref="Connect(EndPoint)"/>.
        /// </summary>
        public new void Connect(IPAddress[] addresses, int port)
        {
            if (addresses == null || addresses.Length == 0 || GoesToBase)
            {
                base.Connect(addresses, port);
                return;
            }
            Establish(Target.Of(addresses, port));
        }

        /// <summary>
        /// Connects to the first address of the host that can be reached, as <see cref="Connect(EndPoint)"/>; the
        /// certificate must be for that host.
        /// </summary>
        public new void Connect(string host, int port)
        {
            if (host == null || GoesToBase)
            {
                base.Connect(host, port);
                return;
            }
            Establish(Target.Of(host, port));
        }

        /// <summary>Begins <see cref="Connect(EndPoint)"/>. The hook is called on another thread.</summary>
        public new IAsyncResult BeginConnect(EndPoint remoteEP, AsyncCallback callback, object state)
        {
            return remoteEP == null || secure == null
                ? base.BeginConnect(remoteEP, callback, state)
                : Begin(Target.Of(remoteEP), callback, state);
        }

        /// <summary>Begins <see cref="Connect(IPAddress, int)"/>.</summary>
        public new IAsyncResult BeginConnect(IPAddress address, int port, AsyncCallback requestCallback, object state)
        {
            return address == null || secure == null
                ? base.BeginConnect(address, port, requestCallback, state)
                : Begin(Target.Of(address, port), requestCallback, state);
        }

        /// <summary>Begins <see cref="Connect(IPAddress[], int)"/>.</summary>
        public new IAsyncResult BeginConnect(
            IPAddress[] addresses, int port, AsyncCallback requestCallback, object state)
        {
            return addresses == null || addresses.Length == 0 || secure == null
                ? base.BeginConnect(addresses, port, requestCallback, state)
                : Begin(Target.Of(addresses, port), requestCallback, state);
        }

        /// <summary>Begins <see cref="Connect(string, int)"/>.</summary>
        public new IAsyncResult BeginConnect(string host, int port, AsyncCallback requestCallback, object state)
        {
            return host == null || secure == null
                ? base.BeginConnect(host, port, requestCallback, state)
                : Begin(Target.Of(host, port), requestCallback, state);
        }

        /// <summary>Waits for what BeginConnect began, and throws what went wrong, in the handshake too.</summary>
        public new void EndConnect(IAsyncResult asyncResult)
        {
            ConnectResult ours = asyncResult as ConnectResult;
            if (ours == null)
            {
                base.EndConnect(asyncResult);
                return;
            }
            ours.End(this);
        }

        /// <summary>Connects, as <see cref="Connect(EndPoint)"/>. The hook is called on another thread.</summary>
        public Task ConnectAsync(EndPoint remoteEP)
        {
            return ConnectAsync(remoteEP, CancellationToken.None);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>.</summary>
        public Task ConnectAsync(IPAddress address, int port)
        {
            return ConnectAsync(address, port, CancellationToken.None);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>.</summary>
        public Task ConnectAsync(IPAddress[] addresses, int port)
        {
            return ConnectAsync(addresses, port, CancellationToken.None);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>; the certificate must be for that host.</summary>
        public Task ConnectAsync(string host, int port)
        {
            return ConnectAsync(host, port, CancellationToken.None);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>; cancelling it closes the socket.</summary>
        public Task ConnectAsync(EndPoint remoteEP, CancellationToken cancellationToken)
        {
            return FromBegin(callback => BeginConnect(remoteEP, callback, null), cancellationToken);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>; cancelling it closes the socket.</summary>
        public Task ConnectAsync(IPAddress address, int port, CancellationToken cancellationToken)
        {
            return FromBegin(callback => BeginConnect(address, port, callback, null), cancellationToken);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>; cancelling it closes the socket.</summary>
        public Task ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
        {
            return FromBegin(callback => BeginConnect(addresses, port, callback, null), cancellationToken);
        }

        /// <summary>As <see cref="ConnectAsync(EndPoint)"/>; cancelling it closes the socket.</summary>
        public Task ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            return FromBegin(callback => BeginConnect(host, port, callback, null), cancellationToken);
        }

        /// <summary>
        /// Connects, as <see cref="Connect(EndPoint)"/>, and raises <see cref="SocketAsyncEventArgs.Completed"/> when
        /// the handshake is done too. A buffer to be sent with the connection is refused on a secure socket.
        /// </summary>
        /// <remarks>
        /// CoreCLR connects no socket again on which this has failed. All the other ways can be tried again.
        /// </remarks>
        /// <returns>Whether it goes on; if not, the outcome is in <paramref name="e"/> already.</returns>
        public new bool ConnectAsync(SocketAsyncEventArgs e)
        {
            if (secure == null || e == null || e.RemoteEndPoint == null || e.BufferList != null)
            {
                return base.ConnectAsync(e);
            }
            if (e.Count > 0)
            {
                throw SslSocketException.Of(
                    SslError.Unsupported,
                    "a secure socket cannot send a buffer along with the connection: connect without, then send.");
            }
            Target target = Target.Of(e.RemoteEndPoint);
            Claim();
            new ConnectEvent(this, e).Start(target);
            return true;
        }

        /// <summary>As the base class's, which a secure socket has to be let go for.</summary>
        /// <param name="localEP">This side's address.</param>
        public new void Bind(EndPoint localEP)
        {
            if (secure == null || Connected || IsDeferred)
            {
                base.Bind(localEP);
                return;
            }
            Claim();
            try
            {
                LetGo();
                try
                {
                    base.Bind(localEP);
                }
                finally
                {
                    HoldAgain();
                }
            }
            finally
            {
                connecting = 0;
            }
        }

        /// <summary>As the base class's: a socket that is made here is an ordinary one.</summary>
        public static new bool ConnectAsync(SocketType socketType, ProtocolType protocolType, SocketAsyncEventArgs e)
        {
            return System.Net.Sockets.Socket.ConnectAsync(socketType, protocolType, e);
        }

        /// <summary>
        /// Not secure; or deferred and not blocking, when Connect has to come back before the connection is there.
        /// </summary>
        private bool GoesToBase => secure == null || (!Blocking && IsDeferred);

        /// <summary>For the handshake, when the base class makes the connection.</summary>
        private void KeepName(object peer, Func<Target> target)
        {
            if (secure != null && peer != null)
            {
                connectName = target().OnlyName;
            }
        }

        private void Establish(Target target)
        {
            Claim();
            Establish(target, base.Connect);
        }

        /// <summary>Comes before Establish, on the thread that asks for the connection.</summary>
        private void Claim()
        {
            if (Interlocked.Exchange(ref connecting, 1) != 0)
            {
                throw new InvalidOperationException("a connect is under way on this socket already");
            }
        }

        /// <summary>
        /// Connects to one of the targets and makes the handshake unless that is deferred. <paramref name="report"/>
        /// tells the base class, for which the connection is there at once.
        /// </summary>
        private void Establish(Target target, Action<EndPoint> report)
        {
            try
            {
                bool isImmediate = !IsDeferred;
                Reach(target, report, isImmediate);
                if (isImmediate)
                {
                    HandshakeNow();
                }
            }
            finally
            {
                connecting = 0;
            }
        }

        private void Reach(Target target, Action<EndPoint> report, bool isHeld)
        {
            EndPoint other = target.Other;
            IList<IPEndPoint> endPoints = other == null ? target.Resolve(this) : null;
            if (isHeld)
            {
                LetGo();
            }
            try
            {
                if (other == null)
                {
                    int reached = Connector.Reach(Handle.ToInt32(), endPoints, () => isClosed);
                    connectName = target.NameOf(endPoints[reached]);
                    other = endPoints[reached];
                }
                report(other);
            }
            catch
            {
                HoldAgain();
                throw;
            }
        }

        private void HandshakeNow()
        {
            if (helped == null)
            {
                PerformHandshake(null, null);
            }
            else
            {
                // An SslHelper has been made for this socket: it says whose certificate is expected.
                helped.Handshake();
            }
        }

        private void LetGo()
        {
            if (!isClosed && !IsDeferred)
            {
                secure.Hold(false);
            }
        }

        private void HoldAgain()
        {
            if (!isClosed && !IsDeferred)
            {
                secure.Hold(true);
            }
        }

        private ConnectResult Begin(Target target, AsyncCallback callback, object state)
        {
            Claim();
            ConnectResult result = new ConnectResult(this, callback, state);
            OnThread(() => result.Complete(() => Establish(target, base.Connect)));
            return result;
        }

        private Task FromBegin(Func<AsyncCallback, IAsyncResult> begin, CancellationToken cancellation)
        {
            if (cancellation.IsCancellationRequested)
            {
                TaskCompletionSource<bool> cancelled = new TaskCompletionSource<bool>();
                cancelled.SetCanceled();
                return cancelled.Task;
            }
            TaskCompletionSource<bool> completion =
                new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            CancellationTokenRegistration registration = default(CancellationTokenRegistration);
            if (cancellation.CanBeCanceled)
            {
                registration = cancellation.Register(() =>
                {
                    if (completion.TrySetCanceled())
                    {
                        Close();
                    }
                });
            }
            try
            {
                begin(result =>
                {
                    registration.Dispose();
                    try
                    {
                        EndConnect(result);
                        completion.TrySetResult(true);
                    }
                    catch (Exception problem)
                    {
                        completion.TrySetException(problem);
                    }
                });
            }
            catch (Exception)
            {
                // Refused: what is under way on the socket is not this call's to cancel.
                registration.Dispose();
                throw;
            }
            return completion.Task;
        }

        private static void OnThread(Action work)
        {
            // The hook may take minutes, which is no work for the thread pool.
            new Thread(() => work()) { IsBackground = true, Name = "sslsock connect" }.Start();
        }
    }
}
