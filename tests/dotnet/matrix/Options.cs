using System;
using System.Net.Sockets;

namespace Matrix
{
    /// <summary>What a socket can be told and asked.</summary>
    internal static class Options
    {
        [Feature("NoDelay never set")]
        private static void NoDelayNeverSet(Conversation c)
        {
            c.InClear(() => c.See("NoDelay", () => c.Socket.NoDelay));
            c.Upgrade();
            c.See("NoDelay", () => c.Socket.NoDelay);
            c.See("Connected", () => c.Socket.Connected);
        }

        [Feature("NoDelay set before")]
        private static void NoDelayBefore(Conversation c)
        {
            c.Socket.NoDelay = true;
            c.Upgrade();
            c.See("NoDelay", () => c.Socket.NoDelay);
        }

        [Feature("NoDelay set after")]
        private static void NoDelayAfter(Conversation c)
        {
            c.Upgrade();
            foreach (bool value in new[] { true, false, true })
            {
                c.See("NoDelay = " + value, () => c.Socket.NoDelay = value);
                c.See("NoDelay", () => c.Socket.NoDelay);
            }
            c.See("Connected", () => c.Socket.Connected);
            Transfer.ThereAndBack(c);
        }

        [Feature("LingerState")]
        private static void Linger(Conversation c)
        {
            c.Socket.LingerState = new LingerOption(true, 7);
            c.Upgrade();
            c.See("set before", () => Text(c.Socket.LingerState));
            c.See("setting", () => c.Socket.LingerState = new LingerOption(true, 9));
            c.See("set after", () => Text(c.Socket.LingerState));
            c.Socket.LingerState = new LingerOption(false, 0);
            c.See("set back", () => Text(c.Socket.LingerState));
        }

        [Feature("LingerState never set")]
        private static void LingerNeverSet(Conversation c)
        {
            c.Upgrade();
            c.See("value", () => Text(c.Socket.LingerState));
        }

        private static string Text(LingerOption linger)
        {
            return linger.Enabled + " " + linger.LingerTime;
        }

        [Feature("KeepAlive")]
        private static void KeepAlive(Conversation c)
        {
            Func<object> get = () => c.Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive);
            c.InClear(() => c.See("never set", get));
            c.Socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            c.Upgrade();
            c.See("set before", get);
            c.See("setting",
                () => c.Socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, false));
            c.See("set after", get);
        }

        [Feature("ReceiveBufferSize, SendBufferSize set before")]
        private static void BuffersBefore(Conversation c)
        {
            c.Socket.ReceiveBufferSize = 70000;
            c.Socket.SendBufferSize = 80000;
            c.Upgrade();
            c.See("values", () => c.Socket.ReceiveBufferSize + " " + c.Socket.SendBufferSize);
            Transfer.ThereAndBack(c);
        }

        [Feature("ReceiveBufferSize, SendBufferSize set after")]
        private static void BuffersAfter(Conversation c)
        {
            c.Upgrade();
            c.See("setting", () => c.Socket.ReceiveBufferSize = 70000);
            c.See("setting the other", () => c.Socket.SendBufferSize = 80000);
            c.See("values", () => c.Socket.ReceiveBufferSize + " " + c.Socket.SendBufferSize);
            Transfer.ThereAndBack(c);
        }

        [Feature("ReceiveBufferSize, SendBufferSize never set")]
        private static void BuffersNeverSet(Conversation c)
        {
            c.Upgrade();
            c.See("there are values", () => c.Socket.ReceiveBufferSize > 0 && c.Socket.SendBufferSize > 0);
        }

        [Feature("OutOfBandInline, Ttl, ReuseAddress")]
        private static void Others(Conversation c)
        {
            c.Socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.OutOfBandInline, true);
            c.Upgrade();
            c.See("OutOfBandInline set before",
                () => c.Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.OutOfBandInline));
            c.See("Ttl", () => c.Socket.Ttl);
            c.See("setting Ttl", () => c.Socket.Ttl = 40);
            c.See("Ttl set", () => c.Socket.Ttl);
            c.See("ReuseAddress", () =>
                c.Socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true));
        }

        [Feature("what a socket is")]
        private static void WhatItIs(Conversation c)
        {
            IntPtr handle = c.Socket.Handle;
            c.Upgrade();
            c.See("Handle is the same", () => c.Socket.Handle == handle);
            c.See("AddressFamily, SocketType, ProtocolType", () =>
                c.Socket.AddressFamily + " " + c.Socket.SocketType + " " + c.Socket.ProtocolType);
            c.See("Connected, IsBound, Blocking", () =>
                c.Socket.Connected + " " + c.Socket.IsBound + " " + c.Socket.Blocking);
            c.See("type", () => c.Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Type));
            c.See("error", () => c.Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error));
            c.See("Connect once more", () => c.Socket.Connect(c.PeerAddress));
            c.See("Listen", () => c.Socket.Listen(1));
            Transfer.ThereAndBack(c);
        }
    }
}
