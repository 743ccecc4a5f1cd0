using System;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading;
using SslSock;

/// <summary>The certificate hook: overrides of ValidateCert, and delegates.</summary>
static class HookTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("an override accepts what is not trusted", AnOverrideAccepts);
        tests.Add("an override refuses what is trusted", AnOverrideRefuses);
        tests.Add("an override that throws refuses", AnOverrideThatThrows);
        tests.Add("base.ValidateCert is the library's own verdict", OwnVerdict);
        tests.Add("base.ValidateCert outside of a handshake", OwnVerdictOutside);
        tests.Add("without an override there is no hook", WithoutAnOverride);
        tests.Add("a hook that knows only its delegate survives the collector", HookSurvivesCollector);
        tests.Add("inside the hook one can read but not change", InsideTheHook);
        tests.Add("the same handshake once more inside its hook", HandshakeInItsOwnHook);
        tests.Add("strict: a hook cannot accept", Strict);
        tests.Add("the hook runs on the thread of an asynchronous handshake", AsynchronousHook);
        tests.Add("a handshake inside a hook", NestedHandshake);
        tests.Add("a thread that is aborted in a hook", AbortedInHook);
        tests.Add("a hook that has been cleared", ClearedHook);
    }

    private static Socket Unknown()
    {
        return Peers.Recorded("serve unknown");
    }

    private static void AnOverrideAccepts()
    {
        string ticket = Peers.NewTicket();
        using (Socket socket = Peers.Recorded("serve unknown", ticket))
        {
            var helper = new HookedHelper(socket, Peers.Name, it => 0);
            helper.DoHandshake();
            Expect.Equal(1, helper.Calls, "calls");
            Expect.Equal(1u, helper.Type, "type");
            Expect.Equal(1u, helper.ChainLength, "chain length");
            Expect.Equal(1u, helper.HookFlags, "flags");
            Expect.Equal(Peers.Name, helper.Host);
            Expect.Bytes(helper.SslSocket.GetPeerCertificate(), helper.Certificate, "certificate");
            Expect.Equal(SslVerdict.AcceptedByHook, helper.SslSocket.VerifyReport.Verdict);
            Peers.Send(socket, "PASS secret\n");
        }
        Expect.Equal("12", Peers.Record(ticket)[2], "bytes under TLS");
    }

    private static void AnOverrideRefuses()
    {
        using (Socket socket = Peers.Recorded("serve known"))
        {
            var helper = new HookedHelper(socket, Peers.Name, it => (int)SslError.NoCert);
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            var error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal(0u, helper.HookFlags, "flags");
            Expect.Equal((int)SslError.NoCert, error.Code, "code");
            Expect.Equal(true, error.FromHook, "from the hook");
            Expect.Equal(SslErrorCategory.Certificate, error.Category);
            Peers.ExpectDead(socket);
        }
    }

    private static void AnOverrideThatThrows()
    {
        using (Socket socket = Unknown())
        {
            var thrown = new FormatException("the hook's own");
            var helper = new HookedHelper(socket, Peers.Name, it => { throw thrown; });
            var error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.True(ReferenceEquals(thrown, error.InnerException), "it is the InnerException");
            Expect.True(ReferenceEquals(thrown, error.HookException), "it is the HookException");
            Expect.True(ReferenceEquals(thrown, error.GetBaseException()), "it is the base exception");
            Expect.Contains("FormatException: the hook's own", error.Message);
            Expect.Equal(-1, error.Code, "code");
            Expect.Equal(true, error.FromHook, "from the hook");
            Peers.ExpectDead(socket);
        }
        // What one hook has thrown is not told of the next handshake.
        using (Socket socket = Unknown())
        {
            var error = Expect.Throws<SslSocketException>(new HookedHelper(socket, Peers.Name, it => 2).DoHandshake);
            Expect.Equal(null, error.InnerException, "InnerException");
        }
    }

    private static void OwnVerdict()
    {
        ExpectVerdict("serve known", Peers.Name, SslError.Okay);
        ExpectVerdict("serve unknown", Peers.Name, SslError.CertUnknown);
        ExpectVerdict("serve known", "other.test", SslError.Name);
        // The issuer comes first.
        ExpectVerdict("serve unknown", "other.test", SslError.CertUnknown);
    }

    private static void ExpectVerdict(string order, string host, SslError expected)
    {
        using (Socket socket = Peers.Recorded(order))
        {
            int verdict = -7;
            var helper = new HookedHelper(socket, host, it =>
            {
                verdict = it.OwnVerdict;
                return 0;
            });
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            helper.DoHandshake();
            Expect.Equal((int)expected, verdict, order + " for " + host);
        }
    }

    private static void OwnVerdictOutside()
    {
        using (Socket socket = Unknown())
        {
            var helper = new HookedHelper(socket, Peers.Name, it => 0);
            Expect.Throws<InvalidOperationException>(() => GC.KeepAlive(helper.OwnVerdict));
        }
    }

    private static void WithoutAnOverride()
    {
        using (Socket socket = Unknown())
        {
            var helper = new PlainSubclass(socket);
            var error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal(false, error.FromHook, "from a hook");
            Expect.Equal((int)SslError.CertUnknown, error.Code, "code");
        }
        // An override counts in whatever subclass it is.
        using (Socket socket = Unknown())
        {
            new SubclassOfHooked(socket).DoHandshake();
        }
    }

    private static void HookSurvivesCollector()
    {
        using (Socket socket = Unknown())
        {
            SetCountingHook(socket);
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
            counted = 0;
            SslSocket.For(socket).PerformHandshake(Peers.Name);
            Expect.Equal(1, counted, "calls");
        }
    }

    private static int counted;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SetCountingHook(Socket socket)
    {
        var local = new object();
        SslSocket.For(socket).SetValidateCertHook(
            (type, argument, length, chain, flags) =>
            {
                GC.Collect();
                GC.KeepAlive(local);
                counted++;
                return argument == (IntPtr)4711 ? 0 : 2;
            },
            (IntPtr)4711);
    }

    private static void InsideTheHook()
    {
        using (Socket socket = Unknown())
        {
            SslError refused = 0;
            SslSocket handle = null;
            var helper = new HookedHelper(socket, Peers.Name, it =>
            {
                Expect.Equal(SslVerdict.NotTrusted, handle.VerifyReport.Verdict);
                Expect.True(handle.GetVerifyText(SslVerifyText.Subject).Contains(Peers.Name), "subject");
                refused = (SslError)Expect.Throws<SslSocketException>(() => handle.SetTimeout(SslTimeout.Close, 1)).Code;
                // Freed only when the handshake is over.
                handle.Dispose();
                return 0;
            });
            handle = helper.SslSocket;
            helper.DoHandshake();
            Expect.Equal(SslError.Reentrant, refused);
        }
    }

    private static void HandshakeInItsOwnHook()
    {
        foreach (bool byHandle in new[] { false, true })
        {
            using (Socket socket = Unknown())
            {
                SslError refused = 0;
                var helper = new HookedHelper(socket, Peers.Name, it =>
                {
                    refused = (SslError)Expect.Throws<SslSocketException>(it.DoHandshake).Code;
                    return 0;
                });
                if (byHandle)
                {
                    helper.SslSocket.PerformHandshake(Peers.Name);
                }
                else
                {
                    helper.DoHandshake();
                }
                Expect.Equal(SslError.Reentrant, refused);
                // It has done no harm.
                Peers.Send(socket, "PASS secret\n");
            }
        }
    }

    private static void Strict()
    {
        using (Socket socket = Unknown())
        {
            var helper = new HookedHelper(socket, Peers.Name, it => 0);
            helper.SslSocket.Flags = SslFlags.DeferHandshake | SslFlags.Strict;
            var error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal((int)SslError.CertUnknown, error.Code, "code");
            Expect.Equal(false, error.FromHook, "from the hook");
        }
    }

    private static void AsynchronousHook()
    {
        using (Socket socket = Unknown())
        {
            bool isOfThePool = true;
            var helper = new HookedHelper(socket, Peers.Name, it =>
            {
                isOfThePool = Thread.CurrentThread.IsThreadPoolThread;
                return 0;
            });
            helper.DoHandshakeAsync().Wait();
            Expect.True(helper.Thread != Thread.CurrentThread.ManagedThreadId, "it was another thread");
            Expect.Equal(false, isOfThePool, "a thread of the pool");
            Expect.Equal(1, helper.Calls, "calls");
        }
    }

    private static void NestedHandshake()
    {
        using (Socket socket = Unknown())
        using (Socket other = Unknown())
        {
            var inner = new HookedHelper(other, Peers.Name, it => { throw new FormatException("inner"); });
            SslSocketException innerError = null;
            var outer = new HookedHelper(socket, Peers.Name, it =>
            {
                innerError = Expect.Throws<SslSocketException>(inner.DoHandshake);
                // The outer handshake is this thread's again.
                return it.OwnVerdict;
            });
            var outerError = Expect.Throws<SslSocketException>(outer.DoHandshake);
            Expect.True(innerError.InnerException is FormatException, "the inner exception is the inner handshake's");
            Expect.Equal(null, outerError.InnerException, "InnerException of the outer one");
            Expect.Equal((int)SslError.CertUnknown, outerError.Code, "code");
        }
    }

    private static void AbortedInHook()
    {
        if (Type.GetType("Mono.Runtime") == null)
        {
            // Nothing aborts threads there.
            return;
        }
        using (Socket socket = Unknown())
        {
            var helper = new HookedHelper(socket, Peers.Name, it =>
            {
                Thread.CurrentThread.Abort();
                return 0;
            });
            var error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.True(error.InnerException is ThreadAbortException, "it is the InnerException");
        }
    }

    private static void ClearedHook()
    {
        using (Socket socket = Unknown())
        {
            SslSocket handle = SslSocket.For(socket);
            handle.SetValidateCertHook((type, argument, length, chain, flags) => 0);
            handle.SetValidateCertHook(null);
            Peers.ExpectCode(SslError.CertUnknown, () => handle.PerformHandshake(Peers.Name));
        }
        // A second helper without an override takes the first one's hook away.
        using (Socket socket = Unknown())
        {
            GC.KeepAlive(new HookedHelper(socket, Peers.Name, it => 0));
            Expect.Throws<SslSocketException>(new SslHelper(socket, Peers.Name, true).DoHandshake);
        }
    }

    private class PlainSubclass : SslHelper
    {
        internal PlainSubclass(Socket socket) : base(socket, Peers.Name, true)
        {
        }

        // Hides it and overrides nothing.
        protected new int ValidateCert(uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
        {
            return 0;
        }
    }

    private sealed class SubclassOfHooked : HookedHelper
    {
        internal SubclassOfHooked(Socket socket) : base(socket, Peers.Name, it => 0)
        {
        }
    }
}
