using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using SslSock;

/// <summary>Certificates that the program decides about later, and handshakes that it cancels.</summary>
static class ValidationTests
{
    private const int Many = 16;

    internal static void Register(Tests tests)
    {
        tests.Add("validation: the answer comes later", Later);
        tests.Add("validation: the answer refuses", Refused);
        tests.Add("validation: when it may be given", WhenItMayBeGiven);
        tests.Add("validation: a handshake that blocks cannot wait for it", Blocking);
        tests.Add("validation: asynchronous", Asynchronous);
        tests.Add("validation: asynchronous, through a helper", AsynchronousByHelper);
        tests.Add("validation: asynchronous refusals", AsynchronousRefusals);
        tests.Add("validation: asynchronous, with a hook that answers at once", HookAtOnce);
        tests.Add("validation: asynchronous, with a hook whose answer comes from elsewhere", HookLater);
        tests.Add("validation: asynchronous, in explicit mode", Explicit);
        tests.Add("validation: many that wait, while the collector runs", ManyWait);
        tests.Add("validation: the time limit counts", TimeLimit);
        tests.Add("cancelling: between two calls", BetweenCalls);
        tests.Add("cancelling: from another thread", FromAnotherThread);
        tests.Add("cancelling: a task that waits for the peer", TaskWaitsForPeer);
        tests.Add("cancelling: a task that waits for the validation", TaskWaitsForValidation);
        tests.Add("cancelling: before the beginning", BeforeTheBeginning);
        tests.Add("cancelling: after the end", AfterTheEnd);
    }

    private static Socket Unknown()
    {
        return Peers.Recorded("serve unknown");
    }

    /// <summary>To where the answer of the hook is awaited.</summary>
    private static SslSocket Awaiting(Socket socket)
    {
        SslSocket handle = SslSocket.For(socket);
        handle.Flags = SslFlags.NonBlocking;
        handle.SetValidateCertHook((type, argument, length, chain, flags) => (int)SslError.WantValidation);
        Expect.Equal(SslError.WantValidation, Step(handle));
        return handle;
    }

    private static SslError Step(SslSocket handle)
    {
        SslError answer;
        while ((answer = handle.PerformHandshake(Peers.Name)) == SslError.WantRead || answer == SslError.WantWrite)
        {
            Thread.Yield();
        }
        return answer;
    }

    private static void ExpectUsable(Socket socket)
    {
        Peers.Send(socket, "PASS secret\n");
    }

    private static void Later()
    {
        string ticket = Peers.NewTicket();
        using (Socket socket = Peers.Recorded("serve unknown", ticket))
        {
            SslSocket handle = Awaiting(socket);
            Expect.Equal(SslVerdict.NotTrusted, handle.VerifyReport.Verdict);
            Expect.True(handle.GetPeerCertificate().Length > 0, "certificate");
            Expect.Equal(SslError.WantValidation, handle.PerformHandshake(Peers.Name));
            Task.Run(() => handle.CompleteValidation(0)).Wait();
            Expect.Equal(SslError.Okay, Step(handle));
            Expect.Equal(SslVerdict.AcceptedByHook, handle.VerifyReport.Verdict);
            ExpectUsable(socket);
        }
        Expect.Equal("12", Peers.Record(ticket)[2], "bytes under TLS");
    }

    private static void Refused()
    {
        using (Socket socket = Unknown())
        {
            SslSocket handle = Awaiting(socket);
            handle.CompleteValidation((int)SslError.CertRevoked);
            SslSocketException error = Peers.ExpectCode(SslError.CertRevoked, () => Step(handle));
            Expect.Equal(true, error.FromHook, "from the hook");
            Peers.ExpectDead(socket);
        }
    }

    private static void WhenItMayBeGiven()
    {
        using (Socket socket = Unknown())
        {
            SslSocket handle = SslSocket.For(socket);
            Peers.ExpectCode(SslError.State, () => handle.CompleteValidation(0));
            SslError inside = 0;
            handle.Flags = SslFlags.NonBlocking;
            handle.SetValidateCertHook((type, argument, length, chain, flags) =>
            {
                inside = (SslError)Expect.Throws<SslSocketException>(() => handle.CompleteValidation(0)).Code;
                // From elsewhere it may come before the hook has returned.
                Task.Run(() => handle.CompleteValidation(0)).Wait();
                return (int)SslError.WantValidation;
            });
            SslError answer = Step(handle);
            if (answer == SslError.WantValidation)
            {
                answer = Step(handle);
            }
            Expect.Equal(SslError.Okay, answer);
            Expect.Equal(SslError.Reentrant, inside);
            Peers.ExpectCode(SslError.State, () => handle.CompleteValidation(0));
            ExpectUsable(socket);
        }
        using (Socket socket = Unknown())
        {
            SslSocket handle = Awaiting(socket);
            handle.CompleteValidation(0);
            Peers.ExpectCode(SslError.State, () => handle.CompleteValidation(2));
            Expect.Equal(SslError.Okay, Step(handle));
        }
        using (Socket socket = Unknown())
        {
            SslSocket handle = Awaiting(socket);
            handle.Dispose();
            Expect.Throws<ObjectDisposedException>(() => handle.CompleteValidation(0));
            Peers.ExpectDead(socket);
        }
    }

    private static void Blocking()
    {
        using (Socket socket = Unknown())
        {
            var helper = new HookedHelper(socket, Peers.Name, it => (int)SslError.WantValidation);
            SslSocketException error = Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal((int)SslError.CertUnknown, error.Code, "code of " + error);
            Peers.ExpectDead(socket);
        }
    }

    private static void Asynchronous()
    {
        using (Socket socket = Unknown())
        {
            var gate = new TaskCompletionSource<int>();
            var begun = new TaskCompletionSource<SslVerdict>();
            SslSocket handle = SslSocket.For(socket);
            Task handshake = handle.PerformHandshakeAsync(Peers.Name, asked =>
            {
                Expect.True(ReferenceEquals(handle, asked), "it is told whose handshake it is");
                begun.SetResult(asked.VerifyReport.Verdict);
                return gate.Task;
            });
            Expect.Equal(SslVerdict.NotTrusted, begun.Task.Result);
            Expect.Equal(false, handshake.IsCompleted, "completed");
            Expect.Equal(false, handle.IsSecure, "secure");
            gate.SetResult(0);
            handshake.Wait();
            Expect.Equal(true, handle.IsSecure, "secure");
            Expect.Equal(SslVerdict.AcceptedByHook, handle.VerifyReport.Verdict);
            ExpectUsable(socket);
        }
    }

    private static void AsynchronousByHelper()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            int asked = 0;
            // The function is asked in the place of the override.
            var helper = new HookedHelper(socket, Peers.Name, it => (int)SslError.Failed);
            helper.DoHandshakeAsync(async it =>
            {
                await Task.Yield();
                asked++;
                return 0;
            }).Wait();
            Expect.Equal(1, asked, "calls");
            Expect.Equal(0, helper.Calls, "calls of the override");
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "it works");
            // The endpoints are the real ones, as after any handshake.
            Expect.Equal(Peers.Address("SSLSOCK_PEER"), helper.RemoteEndPoint);
        }
    }

    private static SslSocketException ExpectFailure(Task task)
    {
        var error = Expect.Throws<AggregateException>(task.Wait).InnerException;
        Expect.True(error is SslSocketException, error.ToString());
        return (SslSocketException)error;
    }

    private static void AsynchronousRefusals()
    {
        var thrown = new FormatException("the program's own");
        var functions = new Dictionary<Func<SslHelper, Task<int>>, int>
        {
            { it => Task.FromResult((int)SslError.CertExpired), (int)SslError.CertExpired },
            { it => { throw thrown; }, -1 },
            { it => Task.Run(new Func<int>(() => { throw thrown; })), -1 },
            { it => null, -1 }
        };
        foreach (var function in functions)
        {
            using (Socket socket = Unknown())
            {
                SslSocketException error = ExpectFailure(new SslHelper(socket, Peers.Name, true).DoHandshakeAsync(function.Key));
                Expect.Equal(function.Value, error.Code, "code of " + error);
                Expect.Equal(true, error.FromHook, "from the hook");
                if (function.Value == -1)
                {
                    Expect.True(
                        error.HookException == thrown || error.HookException is InvalidOperationException, "HookException");
                    Expect.True(ReferenceEquals(error.HookException, error.InnerException), "InnerException");
                }
                Peers.ExpectDead(socket);
            }
        }
    }

    private static void HookAtOnce()
    {
        using (var source = new CancellationTokenSource())
        using (Socket socket = Unknown())
        {
            var helper = new HookedHelper(socket, Peers.Name, it => it.OwnVerdict);
            SslSocketException error = ExpectFailure(helper.DoHandshakeAsync(source.Token));
            Expect.Equal((int)SslError.CertUnknown, error.Code, "code of " + error);
            Expect.Equal(1, helper.Calls, "calls");
        }
        using (Socket socket = Peers.AfterStartTls())
        {
            Peers.Helper(socket).DoHandshakeAsync(CancellationToken.None).Wait();
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "it works");
        }
    }

    private static void HookLater()
    {
        using (var source = new CancellationTokenSource())
        using (Socket socket = Unknown())
        {
            SslSocket handle = SslSocket.For(socket);
            handle.SetValidateCertHook((type, argument, length, chain, flags) =>
            {
                Task.Run(() => handle.CompleteValidation(0));
                return (int)SslError.WantValidation;
            });
            handle.PerformHandshakeAsync(Peers.Name, source.Token).Wait();
            ExpectUsable(socket);
        }
    }

    private static void Explicit()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = SslSocket.For(socket);
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.Flags = SslFlags.ExplicitIo;
            handle.PerformHandshakeAsync(Peers.Name, it => Task.FromResult((int)it.VerifyReport.Verdict - 1)).Wait();
            Expect.Equal(SslFlags.ExplicitIo | SslFlags.NonBlocking, handle.Flags);
            var error = Expect.Throws<SslSocketException>(() => handle.Receive(new byte[1], 0, 1));
            Expect.Equal(SslErrorCategory.WouldBlock, error.Category);
        }
        using (Socket socket = Peers.AfterStartTls())
        {
            // A helper's program would go on with the socket.
            SslHelper helper = Peers.Helper(socket);
            helper.SslSocket.Flags = SslFlags.ExplicitIo;
            var error = Expect.Throws<AggregateException>(helper.DoHandshakeAsync(it => Task.FromResult(0)).Wait);
            Expect.True(error.InnerException is InvalidOperationException, error.ToString());
            Peers.ExpectDead(socket);
        }
    }

    private static void ManyWait()
    {
        var gate = new TaskCompletionSource<int>();
        int asked = 0;
        var sockets = new List<Socket>();
        var tasks = new List<Task>();
        for (int i = 0; i < Many; i++)
        {
            Socket socket = Peers.AfterStartTls();
            sockets.Add(socket);
            tasks.Add(Begin(socket, gate.Task, () => Interlocked.Increment(ref asked)));
        }
        while (Volatile.Read(ref asked) < Many)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        for (int i = 0; i < 10; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Expect.True(tasks.All(task => !task.IsCompleted), "all wait");
        gate.SetResult(0);
        foreach (Socket socket in sockets)
        {
            tasks[sockets.IndexOf(socket)].Wait();
            GC.Collect();
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "it works");
            socket.Close();
        }
    }

    /// <summary>Nobody keeps the helper.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task Begin(Socket socket, Task<int> gate, Action asked)
    {
        return new SslHelper(socket, Peers.Name, true).DoHandshakeAsync(async it =>
        {
            asked();
            int answer = await gate;
            GC.KeepAlive(it.SslSocket.VerifyReport);
            return answer;
        });
    }

    private static void TimeLimit()
    {
        using (Socket socket = Unknown())
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            helper.SslSocket.SetTimeout(SslTimeout.Handshake, 400);
            SslSocketException error = ExpectFailure(helper.DoHandshakeAsync(it => new TaskCompletionSource<int>().Task));
            Expect.Equal((int)SslError.Timeout, error.Code, "code of " + error);
            Peers.ExpectDead(socket);
        }
    }

    private static void BetweenCalls()
    {
        using (Socket socket = Unknown())
        {
            SslSocket handle = Awaiting(socket);
            Expect.Equal(true, handle.CancelHandshake(), "cancelled");
            SslSocketException error = Peers.ExpectCode(SslError.Cancelled, () => handle.PerformHandshake(Peers.Name));
            Expect.Equal(SslErrorCategory.Io, error.Category);
            Expect.Equal("SSL_ERR_CANCELLED", error.CodeName);
            Peers.ExpectCode(SslError.State, () => handle.CompleteValidation(0));
            Peers.ExpectDead(socket);
        }
    }

    private static void FromAnotherThread()
    {
        using (Socket socket = Peers.Recorded("silent"))
        {
            SslHelper helper = Peers.Helper(socket);
            Task handshake = helper.DoHandshakeAsync();
            while (!helper.SslSocket.CancelHandshake())
            {
                Thread.Yield();
            }
            Expect.Equal((int)SslError.Cancelled, ExpectFailure(handshake).Code, "code");
            Peers.ExpectDead(socket);
        }
    }

    private static void ExpectCancelled(Task task, CancellationToken token)
    {
        var error = Expect.Throws<AggregateException>(task.Wait).InnerException;
        Expect.True(error is OperationCanceledException, error.ToString());
        Expect.True(task.IsCanceled, "the task is cancelled");
    }

    private static void TaskWaitsForPeer()
    {
        using (var source = new CancellationTokenSource())
        using (Socket socket = Peers.Recorded("silent"))
        {
            Task handshake = Peers.Helper(socket).DoHandshakeAsync(source.Token);
            source.Cancel();
            ExpectCancelled(handshake, source.Token);
            Peers.ExpectDead(socket);
        }
    }

    private static void TaskWaitsForValidation()
    {
        using (var source = new CancellationTokenSource())
        using (Socket socket = Unknown())
        {
            var answer = new TaskCompletionSource<int>();
            Task handshake = new SslHelper(socket, Peers.Name, true).DoHandshakeAsync(it =>
            {
                source.CancelAfter(1);
                return answer.Task;
            }, source.Token);
            ExpectCancelled(handshake, source.Token);
            Peers.ExpectDead(socket);
            // It comes too late, and does no harm.
            answer.SetException(new FormatException());
        }
    }

    private static void BeforeTheBeginning()
    {
        using (var source = new CancellationTokenSource())
        {
            source.Cancel();
            foreach (bool hasFunction in new[] { false, true })
            {
                using (Socket socket = Peers.Recorded("serve known"))
                {
                    Func<SslHelper, Task<int>> validate = null;
                    if (hasFunction)
                    {
                        validate = it => { throw new FormatException("it is not asked"); };
                    }
                    ExpectCancelled(Peers.Helper(socket).DoHandshakeAsync(validate, source.Token), source.Token);
                    Peers.ExpectDead(socket);
                }
            }
            using (Socket socket = Peers.Recorded("serve known"))
            {
                ExpectCancelled(SslSocket.For(socket).PerformHandshakeAsync(Peers.Name, source.Token), source.Token);
                Peers.ExpectDead(socket);
            }
        }
    }

    private static void AfterTheEnd()
    {
        using (var source = new CancellationTokenSource())
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper helper = Peers.Helper(socket);
            Expect.Equal(false, helper.SslSocket.CancelHandshake(), "cancelled before the beginning");
            helper.DoHandshakeAsync(source.Token).Wait();
            source.Cancel();
            Expect.Equal(false, helper.SslSocket.CancelHandshake(), "cancelled after the end");
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "still there");
            // A second one leaves the connection alone.
            Expect.Equal((int)SslError.State, ExpectFailure(helper.DoHandshakeAsync(it => Task.FromResult(0))).Code, "code");
            Peers.Exchange(socket, "still there");
        }
    }
}
