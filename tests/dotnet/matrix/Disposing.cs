using System;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using SslSock;

namespace Matrix
{
    /// <summary>Dispose: twice, and from two threads at once.</summary>
    internal static class Disposing
    {
        [Check]
        private static void DisposeTwice()
        {
            using (Conversation c = new Conversation(Way.Upgraded))
            {
                c.Upgrade();
                SslHelper helper = c.Helper;
                SslSocket native = helper.SslSocket;
                helper.Dispose();
                helper.Dispose();
                native.Dispose();
                native.Dispose();
                helper.Dispose();
                c.Socket.Send(c.Next(10));
                Checks.Equal("peer", c.Peer.Ask("take 10"), "ok");
                Checks.True("the addresses are still known", helper.RemoteEndPoint.Equals(c.PeerAddress));
                c.Socket.Dispose();
                c.Socket.Dispose();
                Checks.Equal("peer sees the end", c.Peer.Ask("ending"), "0 end");
            }
        }

        /// <summary>A descriptor is closed once: what gets its number next is left alone.</summary>
        [Check]
        private static void DisposeFromTwoThreads()
        {
            for (int round = 0; round < Checks.Rounds(30, 1000); round++)
            {
                using (Conversation c = new Conversation(Way.Upgraded))
                {
                    c.Upgrade();
                    Socket socket = c.Socket;
                    SslHelper helper = c.Helper;
                    SslSocket native = helper.SslSocket;
                    using (Barrier together = new Barrier(3))
                    {
                        FileStream[] files = null;
                        string[] outcomes = Many.Threads(3, i =>
                        {
                            together.SignalAndWait();
                            if (i == 0)
                            {
                                files = Enumerable.Range(0, 20).Select(_ => File.OpenRead("/dev/zero")).ToArray();
                                return;
                            }
                            helper.Dispose();
                            native.Dispose();
                            socket.Dispose();
                        });
                        Checks.Equal("all", string.Join(" ", outcomes), "done done done");
                        foreach (FileStream file in files)
                        {
                            Checks.Equal("a file opened meanwhile", file.Read(new byte[5], 0, 5), 5);
                            file.Dispose();
                        }
                    }
                    Checks.Equal("peer", c.Peer.Ask("ending"), "0 end");
                }
            }
        }

        /// <summary>One of many succeeds, and the socket is none the worse for the others.</summary>
        [Check]
        private static void UpgradeOfOneSocketFromManyThreads()
        {
            for (int round = 0; round < Checks.Rounds(10, 200); round++)
            {
                using (Conversation c = new Conversation(Way.Upgraded))
                using (Barrier together = new Barrier(8))
                {
                    c.Peer.Order("tls");
                    string[] outcomes = Many.Threads(8, _ =>
                    {
                        together.SignalAndWait();
                        SslHelper.DoHandshake(c.Socket);
                    });
                    Checks.Equal("who succeeds in " + string.Join(", ", outcomes), outcomes.Count(o => o == "done"), 1);
                    c.Socket.Send(c.Next(10));
                    Checks.Equal("peer", c.Peer.Ask("take 10"), "ok");
                }
            }
        }
    }
}
