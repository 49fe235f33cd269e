package com.example.redirect;

import aa.redirect.client.CallOptions;
import aa.redirect.client.DecodeCallback;
import aa.redirect.client.EncodeRedirect;
import aa.redirect.client.Expected;
import aa.redirect.client.OpenedCallback;
import aa.redirect.client.Reason;
import aa.redirect.client.Redirect;
import aa.redirect.client.RedirectClient;
import aa.redirect.client.RedirectException;
import aa.redirect.client.SealedRedirect;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;
import java.util.EnumSet;
import java.util.Set;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** An FIU's backend with Spring Boot: /consent sends the browser to the AA, /aa/return takes it back. */
@SpringBootApplication
public class SpringFiu {
  private static final System.Logger LOG = System.getLogger("fiu");

  public static void main(String[] args) {
    SpringApplication.run(SpringFiu.class, args);
  }

  /** One client for the whole process; Spring closes it at the end. */
  @Bean
  RedirectClient redirectClient(@Value("${AA_REDIRECT_ADDRESS:127.0.0.1:50051}") String address) {
    return RedirectClient.builder(address)
        .onDeviations(report -> LOG.log(System.Logger.Level.WARNING, "tell the AA: " + report))
        .build();
  }

  @RestController
  static class Consent {
    private static final String FIU = "fiu@sandbox";
    /**
     * For these reasons the user may try again. Every other reason means that this URL does not
     * work, or that our own request is wrong.
     */
    private static final Set<Reason> LATER =
        EnumSet.of(
            Reason.OVERLOADED, Reason.NOT_READY, Reason.STORE_UNAVAILABLE, Reason.TIMED_OUT,
            Reason.LOCAL_UNREACHABLE, Reason.LOCAL_DEADLINE_EXCEEDED);

    private final RedirectClient client;

    Consent(RedirectClient client) {
      this.client = client;
    }

    @GetMapping("/consent")
    ResponseEntity<Void> consent(
        @RequestParam(defaultValue = "9999988888@beta") String user, HttpServletRequest request, HttpSession session) {
      String back = request.getRequestURL().toString().replace("/consent", "/aa/return");
      // In your backend: the user who is logged in, and the consent handle that the AA gave.
      Redirect redirect = Redirect.builder().userid(user).redirect(back).srcref("handle-1").build();
      SealedRedirect sent =
          client.encodeRedirect(EncodeRedirect.of(FIU, redirect), CallOptions.fromHeaders(request::getHeader));
      session.setAttribute("expected", sent.expected());
      return ResponseEntity.status(HttpStatus.SEE_OTHER)
          .header("Location", sent.location()).cacheControl(CacheControl.noStore()).build();
    }

    @GetMapping("/aa/return")
    ResponseEntity<String> back(HttpServletRequest request, HttpSession session) {
      if (!(session.getAttribute("expected") instanceof Expected expected)) {
        return ResponseEntity.badRequest().body("this browser began no consent here");
      }
      OpenedCallback opened =
          client.decodeCallback(
              DecodeCallback.at(FIU).expecting(expected).url(String.valueOf(request.getQueryString())),
              CallOptions.fromHeaders(request::getHeader));
      if (opened.reopened()) {
        LOG.log(System.Logger.Level.WARNING, "a reloaded page, or a replay: " + opened);
      }
      // A reload is answered again; act on a consent once, and only after you have asked the AA,
      // server to server.
      return ResponseEntity.ok(opened.accepted() ? "accepted" : opened.errorMessage());
    }

    @ExceptionHandler
    ResponseEntity<String> refused(RedirectException error) {
      LOG.log(System.Logger.Level.WARNING, error.getMessage());
      return LATER.contains(error.reason())
          ? ResponseEntity.status(503).body("Try again in a moment.")
          : ResponseEntity.badRequest().body("This link does not work: start again.");
    }
  }
}
