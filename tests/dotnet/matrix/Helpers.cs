using System;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>What becomes of the helper once it has done its work: nothing depends on it.</summary>
    internal static class Helpers
    {
        [Feature("the helper is disposed after the upgrade")]
        private static void Disposed(Conversation c)
        {
            c.Upgrade();
            Transfer.ThereAndBack(c);
            if (c.Helper != null)
            {
                c.Helper.Dispose();
            }
            GoOn(c);
        }

        [Feature("the helper is disposed while a read is pending")]
        private static void DisposedBesideRead(Conversation c)
        {
            c.Upgrade();
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            if (c.Helper != null)
            {
                c.Helper.Dispose();
            }
            c.Peer.Order("send 8");
            c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            GoOn(c);
        }

        [Feature("the helper is collected after the upgrade")]
        private static void Collected(Conversation c)
        {
            c.Upgrade();
            WeakReference weak = Drop(c);
            c.See("the helper is gone", () => weak == null || CollectUntilGone(weak));
            GoOn(c);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static WeakReference Drop(Conversation c)
        {
            WeakReference weak = c.Helper == null ? null : new WeakReference(c.Helper);
            c.DropHelper();
            return weak;
        }

        private static bool CollectUntilGone(WeakReference weak)
        {
            // Mono looks for references on the stack without knowing what is one: a deeper stack covers old ones.
            for (int i = 0; i < 50 && weak.IsAlive; i++)
            {
                System.Threading.Thread collecting = new System.Threading.Thread(() =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                });
                collecting.Start();
                collecting.Join();
            }
            return !weak.IsAlive;
        }

        private static void GoOn(Conversation c)
        {
            Transfer.ThereAndBack(c);
            c.Socket.Shutdown(SocketShutdown.Send);
            c.See("peer sees the end", () => c.Peer.Ask("ending"));
            c.PeerSends(100);
            c.See("Receive", () => c.Receive(200));
            c.PeerEnds();
            c.See("Receive at the end", () => c.Receive(200));
        }
    }
}
