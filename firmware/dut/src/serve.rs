//! The main loop: one command after the other, for as long as the line lasts.

use crate::board::{Board, LineClosed};
use crate::cell;
use crate::line::{Line, decoder};
use crate::link::{Chunk, Link};
use core::convert::Infallible;
use wire::message::Identity;
use wire::{Command, Event, Token};

/// Says who it is, then serves the rig until the line is closed.
pub fn serve<B: Board>(board: &mut B) -> LineClosed {
    match attend(&mut Line::new(board)) {
        Err(closed) => closed,
    }
}

fn attend<B: Board>(line: &mut Line<'_, B>) -> Result<Infallible, LineClosed> {
    // Two decoders, because a cell's command stays where it was received while the cell runs.
    // Each is left at a frame's end, so the other can go on from there.
    let (mut commands, mut answers) = (decoder(), decoder());
    let mut chunk = Chunk::new();
    mbedtls::warm_up();
    let library = mbedtls::library_version();
    let identity = Event::Identity(Identity {
        build: mbedtls::BUILD,
        image: mbedtls::IMAGE,
        library: &library,
        board: B::NAME,
        compilers: mbedtls::COMPILERS,
        clock: B::CLOCK,
    });
    line.send(Token::NONE, &identity)?;
    loop {
        let Some(frame) = line.next(&mut commands)? else { continue };
        match frame.message() {
            Ok(Command::Identify) => line.send(frame.token, &identity)?,
            Ok(Command::Run(command)) => {
                let link = Link::new(line, &mut answers, &mut chunk, frame.token, command.log_only);
                cell::run(link, &command)?;
            }
            // An answer that came too late for its cell, or a message of no known kind.
            Ok(_) | Err(_) => line.drop_frame(),
        }
    }
}
