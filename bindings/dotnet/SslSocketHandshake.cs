using System;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        /// <summary>How often the library is asked whether its time limit has run out.</summary>
        private const int LookMilliseconds = 500;

        private Exception thrownByValidation;

        /// <summary>
        /// <see cref="PerformHandshake"/> on a thread of its own, which <paramref name="cancellation"/> can end.
        /// </summary>
        /// <param name="host">The peer's name, as there.</param>
        /// <param name="cancellation">Ends the handshake, and with it the connection.</param>
        /// <returns>A task that fails as the method would, or is cancelled.</returns>
        /// <remarks>
        /// It sets <see cref="SslFlags.NonBlocking"/>, so <see cref="Send"/> and <see cref="Receive"/> do not wait
        /// afterwards; an upgraded socket's own do.
        /// </remarks>
        public Task PerformHandshakeAsync(string host, CancellationToken cancellation)
        {
            return PerformHandshakeAsync(host, null, cancellation);
        }

        /// <summary>
        /// The same with a certificate hook that may take its time, as for asking a user: no thread waits for it.
        /// </summary>
        /// <param name="host">The peer's name, DNS or IP literal; null: that of <see cref="PeerName"/>.</param>
        /// <param name="validate">
        /// Answers as a certificate hook does: 0 accepts <b>whatever is wrong</b>, anything else refuses. It is called
        /// once, on a thread of the pool, while the peer waits: <see cref="VerifyReport"/> and
        /// <see cref="GetPeerCertificate"/> say whom it is about. What it throws refuses, and becomes the InnerException
        /// of what the task throws. It replaces a hook that was set before. Null: the handle's own hook.
        /// </param>
        /// <param name="cancellation">Ends the handshake, and with it the connection.</param>
        /// <returns>
        /// A task that fails as the method would, or is cancelled. SslTimeout.Handshake bounds all of it, also the time
        /// for <paramref name="validate"/>, which may outlive it.
        /// </returns>
        public Task PerformHandshakeAsync(
            string host, Func<SslSocket, Task<int>> validate, CancellationToken cancellation = default(CancellationToken))
        {
            byte[] name = Native.Utf8(host, nameof(host));
            return HandshakeAsync(
                () => Handshake(() => Native.ssl_perform_handshake(this, name)), validate, cancellation);
        }

        /// <summary>
        /// Brings the answer of a certificate hook that has answered <see cref="SslError.WantValidation"/>: the handshake
        /// is to be asked for again after that. It may come before the hook has returned, but not inside it.
        /// </summary>
        /// <param name="result">What the hook would have answered: 0 accepts whatever is wrong.</param>
        /// <exception cref="SslSocketException">
        /// Code State: no answer is awaited; it has been given, or the handshake has ended.
        /// </exception>
        public void CompleteValidation(int result)
        {
            Check(Native.ssl_complete_validation(this, result));
        }

        /// <summary>
        /// Ends a handshake that is under way, in another thread or between two calls: it fails with the code Cancelled,
        /// and the connection is closed. A certificate hook that is running comes to its end before.
        /// </summary>
        /// <returns>False if none is under way: it has ended, or not begun yet.</returns>
        public bool CancelHandshake()
        {
            int code = Native.ssl_cancel_handshake(this);
            if (code == (int)SslError.State)
            {
                return false;
            }
            Check(code);
            return true;
        }

        /// <summary>The handshake as on Windows CE, asynchronously.</summary>
        internal Task PerformHandshakeOfWindowsCeAsync(Func<SslSocket, Task<int>> validate, CancellationToken cancellation)
        {
            return HandshakeAsync(PerformHandshakeOfWindowsCe, validate, cancellation);
        }

        /// <summary>Step by step: a thread is there while the network is waited for, and for hooks that do not wait.</summary>
        private async Task HandshakeAsync(
            Func<SslError> step, Func<SslSocket, Task<int>> validate, CancellationToken cancellation)
        {
            try
            {
                Flags |= SslFlags.NonBlocking;
                if (validate != null)
                {
                    // An own delegate, since the decision is not made inside it.
                    SetValidateCertHook((type, argument, length, chain, flags) => (int)SslError.WantValidation);
                }
                using (cancellation.Register(() => CancelQuietly()))
                {
                    SslError outcome = await OnThread(() => Drive(step, cancellation)).ConfigureAwait(false);
                    while (outcome == SslError.WantValidation)
                    {
                        if (validate != null)
                        {
                            await ValidateAsync(step, validate, cancellation).ConfigureAwait(false);
                        }
                        else
                        {
                            // The program's hook has answered that; who brings the answer does not say so here.
                            await Pause(cancellation).ConfigureAwait(false);
                        }
                        outcome = await OnThread(() => Drive(step, cancellation)).ConfigureAwait(false);
                    }
                }
            }
            catch (SslSocketException error) when (
                error.Code == (int)SslError.Cancelled && cancellation.IsCancellationRequested)
            {
                throw new OperationCanceledException(error.Message, error, cancellation);
            }
        }

        /// <summary>To the end of the handshake, or to where the program has to decide.</summary>
        private SslError Drive(Func<SslError> step, CancellationToken cancellation)
        {
            SslTransportDescriptor transport = null;
            try
            {
                while (true)
                {
                    if (cancellation.IsCancellationRequested && !CancelHandshake() && !HasBegun)
                    {
                        // What goes on with the socket nevertheless must not send in clear.
                        RefuseHandshake();
                        throw new OperationCanceledException(cancellation);
                    }
                    SslError outcome = step();
                    if (outcome != SslError.WantRead && outcome != SslError.WantWrite)
                    {
                        return outcome;
                    }
                    transport = transport ?? GetTransportDescriptor();
                    Readiness.Await(transport, outcome == SslError.WantWrite, LookMilliseconds);
                }
            }
            finally
            {
                transport?.Dispose();
            }
        }

        private async Task ValidateAsync(
            Func<SslError> step, Func<SslSocket, Task<int>> validate, CancellationToken cancellation)
        {
            Task<int> answer = Ask(validate);
            while (!answer.IsCompleted)
            {
                await Task.WhenAny(answer, Pause(cancellation)).ConfigureAwait(false);
                if (!answer.IsCompleted)
                {
                    if (cancellation.IsCancellationRequested)
                    {
                        // This may be the very thread that is about to say so.
                        CancelQuietly();
                    }
                    // It throws if the time is over, or the handshake has been cancelled.
                    step();
                }
            }
            int result = HookThrew;
            try
            {
                result = await answer.ConfigureAwait(false);
            }
            catch (Exception thrown)
            {
                thrownByValidation = thrown;
            }
            try
            {
                CompleteValidation(result);
            }
            catch (SslSocketException error) when (error.Code == (int)SslError.State)
            {
                // The handshake has ended meanwhile: the next step says how.
            }
        }

        /// <summary>Whatever the function does, there is a task of it.</summary>
        private async Task<int> Ask(Func<SslSocket, Task<int>> validate)
        {
            // The library's thread of this handshake is not for the program's use.
            await Task.Yield();
            Task<int> answer = validate(this);
            if (answer == null)
            {
                throw new InvalidOperationException("The validation has returned null in the place of a task.");
            }
            return await answer.ConfigureAwait(false);
        }

        private static async Task Pause(CancellationToken cancellation)
        {
            try
            {
                await Task.Delay(LookMilliseconds, cancellation).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // The library is asked at once.
            }
        }

        private void CancelQuietly()
        {
            try
            {
                CancelHandshake();
            }
            catch (SslSocketException)
            {
                // Inside the hook of this very handshake, say: it is cancelled before the next step.
            }
            catch (ObjectDisposedException)
            {
            }
        }
    }
}
