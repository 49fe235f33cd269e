package aa.redirect.client;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;

/**
 * For a test of what the service does not do yet: it must fail, so that nobody forgets to take this
 * away.
 */
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(Pending.Inverted.class)
@interface Pending {
  /** Turns the result around. */
  final class Inverted implements InvocationInterceptor {
    @Override
    public void interceptTestMethod(
        Invocation<Void> invocation,
        ReflectiveInvocationContext<java.lang.reflect.Method> context,
        ExtensionContext extension)
        throws Throwable {
      boolean passed;
      try {
        invocation.proceed();
        passed = true;
      } catch (Throwable expected) {
        passed = false;
      }
      if (passed) {
        throw new AssertionError("this passes: take @Pending away");
      }
    }
  }
}
