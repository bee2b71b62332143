//! What a refusal looks like in the sources.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprCall, ExprClosure, ExprReturn, Stmt};

/// Functions, variants and closures that make a refusal.
const REFUSALS: [&str; 6] = ["Err", "fail", "fails", "refuse", "misuse", "Refused"];

/// Types that are one, whatever function makes them.
const REFUSAL_TYPES: [&str; 2] = ["Reject", "MetadataError"];

/// Whether what an expression comes to is always a refusal.
pub(crate) fn refuses(expr: &Expr) -> bool {
    match expr {
        Expr::Block(block) => block_refuses(&block.block),
        Expr::Return(ExprReturn {
            expr: Some(expr), ..
        }) => refuses(expr),
        Expr::Paren(paren) => refuses(&paren.expr),
        Expr::Try(tried) => refuses(&tried.expr),
        Expr::Call(call) => makes_one(call) || call.args.iter().any(refuses),
        Expr::MethodCall(call) => {
            REFUSALS.contains(&call.method.to_string().as_str()) || refuses(&call.receiver)
        }
        Expr::If(branches) => {
            let otherwise = branches.else_branch.as_ref();
            block_refuses(&branches.then_branch)
                && otherwise.is_some_and(|(_, otherwise)| refuses(otherwise))
        }
        Expr::Match(branches) => branches.arms.iter().all(|arm| refuses(&arm.body)),
        _ => false,
    }
}

/// As [`refuses`], of a block's end.
pub(crate) fn block_refuses(block: &Block) -> bool {
    matches!(block.stmts.last(), Some(Stmt::Expr(expr, _)) if refuses(expr))
}

/// Whether a block is always left at its end.
pub(crate) fn leaves(block: &Block) -> bool {
    matches!(
        block.stmts.last(),
        Some(Stmt::Expr(
            Expr::Return(_) | Expr::Continue(_) | Expr::Break(_),
            _
        ))
    )
}

fn makes_one(call: &ExprCall) -> bool {
    let Expr::Path(path) = &*call.func else {
        return false;
    };
    let mut names = path.path.segments.iter().map(|part| part.ident.to_string());
    calls(call, &REFUSALS) || names.any(|name| REFUSAL_TYPES.contains(&name.as_str()))
}

/// Whether it calls a function that has one of these names.
fn calls(call: &ExprCall, names: &[&str]) -> bool {
    match &*call.func {
        Expr::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| names.iter().any(|name| last.ident == name)),
        _ => false,
    }
}

/// Whether the program that drives a session is blamed anywhere in it.
pub(crate) fn blames_the_driver(expr: &Expr) -> bool {
    let mut look = Look::default();
    look.visit_expr(expr);
    look.misuse
}

/// Whether a block returns `Ok` somewhere: `let why = if WRONG { ".." } else { return Ok(..) };`.
pub(crate) fn returns_ok(expr: &Expr) -> bool {
    let mut look = Look::default();
    look.visit_expr(expr);
    look.ok
}

#[derive(Default)]
struct Look {
    misuse: bool,
    ok: bool,
}

impl<'ast> Visit<'ast> for Look {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        self.misuse |= calls(call, &["misuse"]);
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_return(&mut self, returned: &'ast ExprReturn) {
        if let Some(Expr::Call(call)) = returned.expr.as_deref() {
            self.ok |= calls(call, &["Ok"]);
        }
        visit::visit_expr_return(self, returned);
    }

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
}
