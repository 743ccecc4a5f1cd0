using System;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using SslSock;

namespace Matrix
{
    /// <summary>Certificate hooks that refuse, throw, or come at a bad time.</summary>
    internal static class Hooks
    {
        private sealed class Throwing : SslHelper
        {
            private readonly Exception thrown;

            internal Throwing(Socket socket, Exception thrown) : base(socket, Conversation.Host, true)
            {
                this.thrown = thrown;
            }

            protected override int ValidateCert(
                uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
            {
                throw thrown;
            }
        }

        /// <summary>Tries the upgrade, which has to fail; then the password must not reach the peer.</summary>
        internal static SslSocketException FailedUpgrade(Conversation c)
        {
            c.Peer.Order("tls");
            SslSocketException failure = null;
            try
            {
                c.Helper.DoHandshake();
            }
            catch (SslSocketException thrown)
            {
                failure = thrown;
            }
            Checks.True("the upgrade fails", failure != null);
            for (int i = 0; i < 2; i++)
            {
                string outcome = Outcome.Of(() => c.Socket.Send(Encoding.ASCII.GetBytes("PASS secret\r\n")));
                Checks.True("Send fails: " + outcome, outcome.StartsWith("SocketException"));
            }
            string received = Outcome.Of(() => c.Socket.Receive(new byte[100]));
            Checks.True("Receive gives nothing: " + received,
                received == "0" || received.StartsWith("SocketException"));
            c.Socket.Close();
            string peer = c.Peer.Ask("ending");
            Checks.True("peer: " + peer, peer.StartsWith("no TLS: ") && peer.EndsWith("; nothing but TLS"));
            return failure;
        }

        [Check]
        private static void AHookThatThrowsRefuses()
        {
            InvalidOperationException own = new InvalidOperationException("the hook's own");
            using (Conversation c = new Conversation(Way.Upgraded, helper: socket => new Throwing(socket, own)))
            {
                SslSocketException failure = FailedUpgrade(c);
                Checks.True("its exception is there", ReferenceEquals(failure.InnerException, own));
                Checks.True("it is the hook's", failure.FromHook);
            }
            using (Conversation c = new Conversation(Way.Upgraded))
            {
                SslSocket.For(c.Socket).SetValidateCertHook((type, argument, length, chain, flags) =>
                {
                    throw own;
                });
                Checks.True("a delegate's too", ReferenceEquals(FailedUpgrade(c).InnerException, own));
            }
            using (Conversation c = new Conversation(Way.Upgraded, helper: socket => new Throwing(socket, own)))
            {
                c.Peer.Order("tls");
                AggregateException several = null;
                try
                {
                    c.Helper.DoHandshakeAsync().Wait();
                }
                catch (AggregateException thrown)
                {
                    several = thrown;
                }
                Checks.True("DoHandshakeAsync gives it on",
                    several != null && ReferenceEquals(several.InnerException.InnerException, own));
            }
            // The process is none the worse for it.
            using (Conversation c = new Conversation(Way.Upgraded))
            {
                c.Upgrade();
                c.Socket.Send(c.Next(10));
                Checks.Equal("the next socket", c.Peer.Ask("take 10"), "ok");
            }
        }

        /// <summary>What a hook does with the socket that is being upgraded, or with others, is no matter.</summary>
        [Check]
        private static void AHookMayUpgradeAnotherSocket()
        {
            string inner = null;
            using (Conversation c = new Conversation(Way.Upgraded))
            {
                SslSocket.For(c.Socket).SetValidateCertHook((type, argument, length, chain, flags) =>
                {
                    using (Conversation other = new Conversation(Way.Upgraded))
                    {
                        other.Upgrade();
                        other.Socket.Send(other.Next(10));
                        inner = other.Peer.Ask("take 10");
                    }
                    return 0;
                });
                c.Upgrade();
                Checks.Equal("the other", inner, "ok");
                c.Socket.Send(c.Next(10));
                Checks.Equal("the first", c.Peer.Ask("take 10"), "ok");
            }
        }

        /// <summary>Another thread's Dispose ends the handshake, and nobody hangs.</summary>
        [Check]
        private static void DisposeOfTheSocketDuringTheHandshake()
        {
            for (int round = 0; round < Checks.Rounds(5, 50); round++)
            {
                using (Conversation c = new Conversation(Way.Upgraded))
                using (ManualResetEvent inside = new ManualResetEvent(false))
                using (ManualResetEvent disposed = new ManualResetEvent(false))
                {
                    Socket socket = c.Socket;
                    SslSocket.For(socket).SetValidateCertHook((type, argument, length, chain, flags) =>
                    {
                        inside.Set();
                        disposed.WaitOne(Peer.PatienceMilliseconds);
                        return 0;
                    });
                    c.Peer.Order("tls");
                    string outcome = null;
                    Thread upgrading = new Thread(() => outcome = Outcome.Of(() => c.Helper.DoHandshake()));
                    upgrading.Start();
                    Checks.True("the hook is called", inside.WaitOne(Peer.PatienceMilliseconds));
                    socket.Dispose();
                    disposed.Set();
                    Checks.True("the handshake ends", upgrading.Join(Peer.PatienceMilliseconds));
                    // It may have been done before the library saw the end, which then is one in order.
                    Checks.True("outcome: " + outcome, outcome == "done" || outcome.StartsWith("SslSocketException"));
                    string peer = c.Peer.Ask("ending");
                    Checks.True("peer: " + peer, peer.StartsWith("0 ") || peer.EndsWith("; nothing but TLS"));
                }
            }
        }
    }
}
