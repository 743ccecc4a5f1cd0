using System;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using SslSock;

namespace Matrix
{
    /// <summary>The garbage collector, and what it must not take or has to give back.</summary>
    internal static class Collecting
    {
        private const int AtOnce = 4;

        /// <summary>Collects on a thread of its own, again and again, until it is disposed.</summary>
        private sealed class Stress : IDisposable
        {
            private readonly Thread thread;
            private volatile bool over;

            internal Stress()
            {
                thread = new Thread(() =>
                {
                    while (!over)
                    {
                        GC.Collect();
                        GC.WaitForPendingFinalizers();
                    }
                });
                thread.Start();
            }

            public void Dispose()
            {
                over = true;
                thread.Join();
            }
        }

        private sealed class Overriding : SslHelper
        {
            private readonly int answer;
            private readonly Action called;

            internal Overriding(Socket socket, int answer, Action called) : base(socket, Conversation.Host, true)
            {
                this.answer = answer;
                this.called = called;
            }

            protected override int ValidateCert(
                uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
            {
                GC.Collect();
                Checks.True("there is a certificate", CopyCertificate(pCertChain).Length > 100);
                called();
                return answer;
            }
        }

        /// <summary>Hooks that nobody else refers to, and handshakes, while everything else is collected.</summary>
        [Check]
        private static void CollectionsDuringHandshakesAndHooks()
        {
            int rounds = Checks.Rounds(12, 300);
            int calls = 0;
            string[] outcomes;
            using (new Stress())
            {
                outcomes = Many.Threads(AtOnce, _ =>
                {
                    for (int round = 0; round < rounds; round++)
                    {
                        Accepted(round % 2 == 0, () => Interlocked.Increment(ref calls));
                        Refused(() => Interlocked.Increment(ref calls));
                    }
                });
            }
            Checks.True("the threads: " + string.Join(", ", outcomes), outcomes.All(outcome => outcome == "done"));
            Checks.Equal("calls of hooks", calls, 2 * rounds * AtOnce);
        }

        private static void Accepted(bool byOverride, Action called)
        {
            Func<Socket, SslHelper> make = null;
            if (byOverride)
            {
                make = socket => new Overriding(socket, 0, called);
            }
            using (Conversation c = new Conversation(Way.Upgraded, helper: make))
            {
                if (!byOverride)
                {
                    SslSocket.For(c.Socket).SetValidateCertHook((type, argument, length, chain, flags) =>
                    {
                        GC.Collect();
                        called();
                        return 0;
                    });
                }
                c.Upgrade();
                c.DropHelper();
                for (int i = 0; i < 3; i++)
                {
                    c.Socket.Send(c.Next(1000));
                    Checks.Equal("peer", c.Peer.Ask("take 1000"), "ok");
                    c.Peer.Order("send 1000");
                    byte[] buffer = new byte[1000];
                    for (int got = 0; got < 1000;)
                    {
                        int piece = c.Socket.Receive(buffer, got, 1000 - got, SocketFlags.None);
                        Checks.True("data", piece > 0);
                        got += piece;
                    }
                    Checks.Equal("bytes", c.Check(buffer, 1000), "1000");
                }
            }
        }

        private static void Refused(Action called)
        {
            using (Conversation c = new Conversation(Way.Upgraded, helper: socket => new Overriding(socket, 5, called)))
            {
                SslSocketException thrown = Hooks.FailedUpgrade(c);
                Checks.Equal("code", thrown.Code, 5);
                Checks.True("it is the hook's", thrown.FromHook);
            }
        }

        /// <summary>1,000 sockets, upgraded and closed or left to the finalizers.</summary>
        [Check]
        private static void NothingGrowsOverAThousandUpgrades()
        {
            const int Upgrades = 1000;
            UpgradeAndForget(60);
            Settle();
            int descriptors = Descriptors();
            int threads = Threads();
            UpgradeAndForget(Upgrades);
            Settle();
            AwaitDescriptors(descriptors + 5);
            // The runtime's pool may have a few more than before.
            Checks.True("threads: " + Threads() + " after " + threads, Threads() < threads + 20);
        }

        private static void UpgradeAndForget(int count)
        {
            string[] outcomes = Many.Threads(AtOnce, _ =>
            {
                for (int round = 0; round < count / AtOnce; round++)
                {
                    OneUpgrade(round % 2 == 0);
                }
            });
            Checks.True("the threads: " + string.Join(", ", outcomes), outcomes.All(outcome => outcome == "done"));
        }

        private static void OneUpgrade(bool close)
        {
            System.Net.IPEndPoint address = Conversation.AddressIn("SSLSOCK_PEER");
            Socket socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            SslHelper.Connect(socket, address, Conversation.Host);
            socket.Send(Encoding.ASCII.GetBytes("echo\nx"));
            Checks.Equal("bytes", socket.Receive(new byte[10]), 1);
            if (close)
            {
                socket.Close();
            }
        }

        private static void Settle()
        {
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }

        private static int Descriptors()
        {
            return Directory.GetFileSystemEntries("/proc/self/fd").Length;
        }

        private static int Threads()
        {
            return Directory.GetDirectories("/proc/self/task").Length;
        }

        /// <summary>The library's own go when the peers have ended.</summary>
        private static void AwaitDescriptors(int most)
        {
            for (int i = 0; Descriptors() > most; i++)
            {
                Checks.True("descriptors: " + Descriptors() + ", at most " + most, i < 2000);
                Settle();
                Thread.Sleep(10);
            }
        }
    }
}
