using System;
using System.Globalization;
using System.Net.Sockets;

namespace Matrix
{
    /// <summary>What a call answers or throws, as text.</summary>
    public static class Outcome
    {
        public static string Of(Action call)
        {
            return Of(() =>
            {
                call();
                return "done";
            });
        }

        public static string Of<T>(Func<T> call)
        {
            try
            {
                return Text(call());
            }
            catch (Exception thrown)
            {
                return Of(thrown);
            }
        }

        /// <summary>Types, and the SocketErrorCode of a socket's.</summary>
        public static string Of(Exception thrown)
        {
            AggregateException several = thrown as AggregateException;
            if (several != null)
            {
                return Of(several.InnerException);
            }
            SocketException socket = thrown as SocketException;
            string text = thrown.GetType().Name + (socket != null ? " " + socket.SocketErrorCode : "");
            bool isDisposed = thrown is ObjectDisposedException;
            if (thrown is InvalidOperationException && !isDisposed || thrown is TimeoutException)
            {
                // They may be the test's own.
                text += ": " + thrown.Message;
            }
            return thrown.InnerException == null ? text : text + " (" + Of(thrown.InnerException) + ")";
        }

        private static string Text(object value)
        {
            return value == null ? "null" : Convert.ToString(value, CultureInfo.InvariantCulture);
        }
    }
}
