using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>Many at once.</summary>
    internal static class Load
    {
        private const int Connections = 100;
        private const int Length = 20000;

        [Feature("100 sockets, a thread for each")]
        private static void Threads(Way way, string name)
        {
            string[] back = new string[Connections];
            string[] outcomes = Many.Threads(Connections, i => back[i] = Echo(way, name));
            Tell(way, name, outcomes.Select((outcome, i) => outcome == "done" ? back[i] : outcome));
        }

        [Feature("100 sockets by await")]
        private static void Tasks(Way way, string name)
        {
            Task<string>[] tasks = Enumerable.Range(0, Connections)
                .Select(_ => Task.Run(() => EchoAsync(way, name))).ToArray();
            Tell(way, name, tasks.Select(task => Outcome.Of(() => Conversation.Wait(task))));
        }

        private static void Tell(Way way, string name, IEnumerable<string> outcomes)
        {
            foreach (IGrouping<string, string> same in outcomes.GroupBy(outcome => outcome))
            {
                Report.Line("see", way.ToString(), name, same.Key, same.Count().ToString());
            }
        }

        /// <summary>Sends and reads back in pieces, and ends in order.</summary>
        private static string Echo(Way way, string name)
        {
            using (Conversation c = new Conversation(way, name))
            {
                c.Upgrade();
                c.Peer.Begin("echo");
                byte[] back = new byte[Length];
                c.Socket.Send(Bytes.Pattern(0, Length));
                int got = 0;
                for (int piece = 1; got < Length && piece > 0; got += piece)
                {
                    piece = c.Socket.Receive(back, got, Length - got, SocketFlags.None);
                }
                c.Socket.Shutdown(SocketShutdown.Send);
                return c.Check(back, got) + ", " + c.Socket.Receive(back) + ", peer " + c.Peer.Answer();
            }
        }

        private static async Task<string> EchoAsync(Way way, string name)
        {
            using (Conversation c = new Conversation(way, name))
            {
                await c.UpgradeAsync().ConfigureAwait(false);
                c.Peer.Begin("echo");
                byte[] back = new byte[Length];
                await c.Socket.SendAsync(new ArraySegment<byte>(Bytes.Pattern(0, Length)), SocketFlags.None)
                    .ConfigureAwait(false);
                int got = 0;
                for (int piece = 1; got < Length && piece > 0; got += piece)
                {
                    ArraySegment<byte> free = new ArraySegment<byte>(back, got, Length - got);
                    piece = await c.Socket.ReceiveAsync(free, SocketFlags.None).ConfigureAwait(false);
                }
                c.Socket.Shutdown(SocketShutdown.Send);
                int end = await c.Socket.ReceiveAsync(new ArraySegment<byte>(back), SocketFlags.None)
                    .ConfigureAwait(false);
                return c.Check(back, got) + ", " + end + ", peer " + c.Peer.Answer();
            }
        }

        [Feature("two sockets upgraded at once, used by four threads")]
        private static void TwoAtOnce(Way way, string name)
        {
            for (int round = 0; round < 10; round++)
            {
                using (Conversation one = new Conversation(way, name))
                using (Conversation two = new Conversation(way, name))
                using (Barrier together = new Barrier(2))
                {
                    Task[] upgrades = new[] { one, two }.Select(c => Task.Run(() =>
                    {
                        together.SignalAndWait();
                        c.Upgrade();
                    })).ToArray();
                    Task.WaitAll(upgrades);
                    foreach (Conversation c in new[] { one, two })
                    {
                        Task<int> sending = Task.Run(() => c.Socket.Send(c.Next(300000)));
                        Task<string> receiving = Task.Run(() => ReceiveAll(c, 200000));
                        c.Peer.Begin("take 300000");
                        string taken = c.Peer.Answer();
                        c.Peer.Order("send 200000");
                        c.See("round " + round, () =>
                            string.Join(" ", taken, Conversation.Wait(sending), Conversation.Wait(receiving)));
                    }
                }
            }
        }

        private static string ReceiveAll(Conversation c, int length)
        {
            byte[] buffer = new byte[length];
            int got = 0;
            for (int piece = 1; got < length && piece > 0; got += piece)
            {
                piece = c.Socket.Receive(buffer, got, length - got, SocketFlags.None);
            }
            return c.Check(buffer, got);
        }
    }
}
